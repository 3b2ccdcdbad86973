/// @file source.hpp
///
/// What an upload reads, how far it is, and functions of the program's that the library calls. Included by
/// oss_callback.hpp.
///
/// An exception that leaves a function of the program's never passes through the library: it is kept, the
/// call ends, and the caller gets it. One from a progress function is rethrown as it is; one from a source or
/// a credentials function is nested in the `SourceError` or `CredentialsError` (`std::rethrow_if_nested`).
#ifndef OSS_CALLBACK_SOURCE_HPP
#define OSS_CALLBACK_SOURCE_HPP

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <functional>
#include <istream>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "../oss_callback.h"
#include "generated.hpp"
#include "handle.hpp"

namespace oss_callback {

/// How far an upload is.
struct Progress {
    /// Bytes handed to the network, and bytes that were there from an earlier run. Never goes back.
    std::uint64_t bytes_done{};

    /// Bytes of the whole, where that is known.
    std::optional<std::uint64_t> bytes_total{};

    /// Parts that OSS has acknowledged; 0 for an upload in one request.
    std::uint64_t parts_done{};

    /// Parts of the whole, where that is known; none for an upload in one request.
    std::optional<std::uint64_t> parts_total{};
};

/// Is told how far an upload is: at its beginning, ten times a second while bytes move, and at its end; on
/// the thread that made the call. What it throws ends the upload and is thrown by the call, unless the upload
/// is complete: then it is dropped, and the call returns the reply.
using ProgressFunction = std::function<void(const Progress &)>;

/// Reads the next bytes into `buffer`, up to `capacity`; returns how many they are, 0 at the end. Throws on
/// failure. It is called on a thread of the library's, by one at a time.
using ReadFunction = std::function<std::size_t(std::uint8_t *buffer, std::size_t capacity)>;

/// Credentials from a function of the program's.
struct Credentials {
    /// AccessKey id.
    std::string access_key_id{};

    /// AccessKey secret.
    std::string access_key_secret{};

    /// STS token, for temporary credentials.
    std::optional<std::string> security_token{};

    /// When they end. The function is asked for new ones five minutes before, or when three quarters of a
    /// shorter life are over. Those with a token and without an end are asked for every 15 minutes.
    std::optional<std::chrono::system_clock::time_point> expires_at{};
};

/// Gets credentials. It is asked by the first call that needs them, and again before they expire; on a thread
/// of the library's, one call at a time. Throws on failure; what its exception says is shown and may be
/// logged, so no secret may be in it.
using CredentialsFunction = std::function<Credentials()>;

namespace detail {

/// Keeps the exception in flight, and tells C what it says.
inline std::exception_ptr kept(osscb_failure *failure) noexcept {
    const std::exception_ptr thrown = std::current_exception();
    try {
        std::rethrow_exception(thrown);
    } catch (const std::exception &error) {
        osscb_failure_set(failure, lend(error.what()));
    } catch (...) {
        osscb_failure_set(failure, OSSCB_STR("an exception that tells nothing"));
    }
    return thrown;
}

/// What a C context points to: a share in an object, which the library lets go.
template <typename T>
void *shared_context(const std::shared_ptr<T> &object) {
    return new std::shared_ptr<T>(object);
}

template <typename T>
void release_shared(void *context) noexcept {
    delete static_cast<std::shared_ptr<T> *>(context);
}

template <typename T>
T &in_context(void *context) noexcept {
    return **static_cast<std::shared_ptr<T> *>(context);
}

/// A source's function, and what it threw. The call that reads it has ended before anybody looks.
struct Reader {
    ReadFunction function;
    std::exception_ptr thrown{};

    static std::int64_t read(void *context, std::uint8_t *buffer, std::size_t capacity,
                             osscb_failure *failure) noexcept {
        auto &self = in_context<Reader>(context);
        try {
            return static_cast<std::int64_t>(self.function(buffer, capacity));
        } catch (...) {
            self.thrown = kept(failure);
            return -1;
        }
    }
};

/// A credentials function, and what it threw last.
struct Provider {
    CredentialsFunction function;
    std::mutex mutex{};
    std::exception_ptr thrown{};

    static bool provide(void *context, osscb_credentials *out, osscb_failure *failure) noexcept {
        auto &self = in_context<Provider>(context);
        std::exception_ptr thrown;
        try {
            const Credentials got = self.function();
            const std::int64_t expires_at =
                got.expires_at ? std::chrono::duration_cast<std::chrono::seconds>(
                                     got.expires_at->time_since_epoch())
                                     .count()
                               : OSSCB_NEVER;
            osscb_credentials_set(out, lend(got.access_key_id), lend(got.access_key_secret),
                                  got.security_token ? lend(*got.security_token) : OSSCB_NO_STR, expires_at);
        } catch (...) {
            thrown = kept(failure);
        }
        const bool provided = !thrown;
        self.note(std::move(thrown));
        return provided;
    }

    std::exception_ptr last() {
        const std::lock_guard<std::mutex> lock(mutex);
        return thrown;
    }

private:
    void note(std::exception_ptr exception) noexcept {
        const std::lock_guard<std::mutex> lock(mutex);
        thrown = std::move(exception);
    }
};

/// A progress function, and what it threw.
struct Watcher {
    const ProgressFunction &function;
    std::exception_ptr thrown{};

    static bool tell(void *context, const osscb_progress *progress) noexcept {
        auto &self = *static_cast<Watcher *>(context);
        const auto known = [](std::uint64_t number) {
            return number == OSSCB_UNKNOWN ? std::nullopt : std::optional<std::uint64_t>(number);
        };
        try {
            self.function(Progress{progress->bytes_done, known(progress->bytes_total), progress->parts_done,
                                   known(progress->parts_total)});
            return true;
        } catch (...) {
            self.thrown = std::current_exception();
            return false;
        }
    }
};

/// Throws the error, with what a function of the program's threw nested in it.
template <typename E>
[[noreturn]] void raise_nested(osscb_error *error, const std::exception_ptr &cause) {
    const E outer(error);
    try {
        std::rethrow_exception(cause);
    } catch (...) {
        std::throw_with_nested(outer);
    }
}

} // namespace detail

/// What an upload reads. A path converts by itself, and so does an `std::istream`; memory and functions are
/// named. Memory and paths may be used by any number of uploads, streams and functions by one.
class Source {
public:
    /// The whole file under a path, which is opened when an upload begins.
    Source(const std::filesystem::path &path)
        : handle_(detail::made<osscb_source>([&](osscb_source **out, osscb_error **error) {
#if defined(_WIN32)
              const auto text = path.u8string();
              const osscb_str lent{reinterpret_cast<const char *>(text.data()), text.size()};
#else
              const osscb_str lent = detail::lend(std::string_view(path.native()));
#endif
              return osscb_source_of_path(lent, out, error);
          })) {}

    /// What is left of a stream, which must stay until the upload is over, and is not to be used meanwhile.
    ///
    /// `length`: bytes that are left, if you know; less or more is then a `SourceError`, and nothing is
    /// stored.
    Source(std::istream &stream, std::optional<std::uint64_t> length = std::nullopt)
        : Source(function(
              [&stream](std::uint8_t *buffer, std::size_t capacity) {
                  if (!stream) {
                      throw std::runtime_error("the stream had failed before it was read");
                  }
                  // Not by `read`, which counts the end as a failure.
                  const auto got = stream.rdbuf()->sgetn(reinterpret_cast<char *>(buffer),
                                                         static_cast<std::streamsize>(capacity));
                  return static_cast<std::size_t>(got);
              },
              length)) {}

    /// Memory, sent from where it lies: it must stay as it is until the upload is over.
    static Source memory(const void *data, std::size_t size) {
        return Source(detail::made<osscb_source>([&](osscb_source **out, osscb_error **error) {
            return osscb_source_of_memory(data, size, nullptr, nullptr, out, error);
        }));
    }

    /// The same for text.
    static Source memory(std::string_view text) { return memory(text.data(), text.size()); }

    /// What a function gives. It is kept until the source is gone and no upload reads it any more.
    ///
    /// `length`: bytes in all, if you know; less or more is then a `SourceError`, and nothing is stored.
    static Source function(ReadFunction read, std::optional<std::uint64_t> length = std::nullopt) {
        if (!read) {
            throw std::invalid_argument("oss_callback::Source: the function is empty");
        }
        auto reader = std::make_shared<detail::Reader>(detail::Reader{std::move(read)});
        void *const context = detail::shared_context(reader);
        osscb_source *source = nullptr;
        osscb_error *error = nullptr;
        const osscb_status status =
            osscb_source_of_function(&detail::Reader::read, length.value_or(OSSCB_UNKNOWN),
                                     &detail::release_shared<detail::Reader>, context, &source, &error);
        if (status != OSSCB_STATUS_OK) {
            detail::release_shared<detail::Reader>(context);
            detail::raise(status, error);
        }
        Source made(source);
        made.reader_ = std::move(reader);
        return made;
    }

    /// The C handle, which stays with this object.
    const osscb_source *get() const noexcept { return handle_.get(); }

private:
    friend class Client;

    explicit Source(osscb_source *handle) noexcept : handle_(handle) {}

    /// What the function threw while an upload read it; empty if it did not.
    std::exception_ptr thrown() const noexcept { return reader_ ? reader_->thrown : nullptr; }

    detail::Handle<osscb_source, &osscb_source_free> handle_;
    std::shared_ptr<detail::Reader> reader_{};
};

} // namespace oss_callback

#endif
