/// @file oss_callback.hpp
///
/// C++17 over oss_callback.h: values that own their handles, `std::string_view` in, `std::string` out,
/// exceptions for failures. Header-only: nothing but the C functions is linked, so that compilers and
/// standard libraries may differ between the library and the program.
///
/// ```
/// oss_callback::ClientOptions options;
/// options.region = "cn-hangzhou";
/// oss_callback::Client client(options);
/// oss_callback::Callback callback("https://app.example.com/callback");
/// auto reply = client.put_object_with_callback("examplebucket", "a.txt", "Hello OSS", callback);
/// std::cout << reply.text() << '\n';
/// ```
///
/// Objects can be moved and not copied. A `Client`, `Callback`, `Signer`, `CallbackVerifier`, `CallbackEvent`
/// and `Cancel` may be used from many threads at once, everything else by one at a time. A moved-from object
/// may only be destroyed or assigned to.
#ifndef OSS_CALLBACK_HPP
#define OSS_CALLBACK_HPP

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "oss_callback.h"
#include "oss_callback/generated.hpp"
#include "oss_callback/handle.hpp"
#include "oss_callback/source.hpp"

namespace oss_callback {

/// Version of the library, such as `0.1.0`.
inline std::string version() { return osscb_version(); }

/// The kind's stable name, such as `callback_failed`.
inline std::string name_of(ErrorKind kind) { return osscb_status_name(static_cast<osscb_status>(kind)); }

/// Ends the calls that it was given to, from another thread.
class Cancel {
public:
    Cancel() : handle_(osscb_cancel_new()) {
        if (!handle_) {
            throw std::bad_alloc();
        }
    }

    /// Ends the calls that hold it, now and later: they throw `CancelledError`.
    void cancel() const noexcept { osscb_cancel_now(handle_.get()); }

    /// Whether `cancel` was called.
    bool is_cancelled() const noexcept { return osscb_cancel_is_cancelled(handle_.get()); }

    /// The C handle, which stays with this object.
    const osscb_cancel *get() const noexcept { return handle_.get(); }

private:
    detail::Handle<osscb_cancel, &osscb_cancel_free> handle_;
};

/// What OSS shall tell the application server once the object is stored: checked and encoded.
class Callback {
public:
    /// `url`: where OSS sends the callback; up to five, joined by `;`. Empty with the option `policy`.
    ///
    /// Throws `InvalidArgumentError` for whatever OSS would refuse, or what would silently misbehave.
    explicit Callback(std::string_view url, const CallbackOptions &options = {})
        : handle_(detail::made<osscb_callback>([&](osscb_callback **out, osscb_error **error) {
              using Options = detail::Handle<osscb_callback_options, &osscb_callback_options_free>;
              const auto filled = detail::filled<Options>(osscb_callback_options_new(), options);
              return osscb_callback_new(detail::lend(url), filled.get(), out, error);
          })) {}

    /// Takes over a handle of C's.
    explicit Callback(osscb_callback *handle) noexcept : handle_(handle) {}

    /// Whether each upload gets a seal; false for a callback that is sealed already.
    bool is_to_be_sealed() const noexcept { return osscb_callback_is_to_be_sealed(handle_.get()); }

    /// The callback for one upload, with a new seal among its variables: for presigned URLs and forms, whose
    /// signature fixes bucket and key. Uploads do this by themselves. The seal's expiry counts from `now`.
    ///
    /// Throws `InvalidArgumentError` for an empty bucket or key.
    Callback sealed_for(std::string_view bucket, std::string_view key,
                        std::chrono::system_clock::time_point now = std::chrono::system_clock::now()) const {
        return Callback(detail::made<osscb_callback>([&](osscb_callback **out, osscb_error **error) {
            return osscb_callback_sealed_for(handle_.get(), detail::lend(bucket), detail::lend(key),
                                             detail::seconds(now), out, error);
        }));
    }

    /// Base64 of the callback's JSON: the value of the header `x-oss-callback`.
    std::string encoded() const { return detail::owned(osscb_callback_encoded(handle_.get())); }

    /// Base64 of the variables' JSON, where there are any: the value of the header `x-oss-callback-var`.
    std::optional<std::string> encoded_vars() const {
        return detail::maybe(osscb_callback_encoded_vars(handle_.get()));
    }

    /// The JSON that `encoded` holds.
    std::string json() const { return detail::owned(osscb_callback_json(handle_.get())); }

    /// The JSON that `encoded_vars` holds.
    std::optional<std::string> vars_json() const {
        return detail::maybe(osscb_callback_vars_json(handle_.get()));
    }

    /// What is legal but seldom meant, such as a variable that the body never uses.
    std::vector<std::string> warnings() const {
        std::vector<std::string> out;
        for (std::size_t i = 0; i < osscb_callback_warning_count(handle_.get()); i++) {
            out.push_back(detail::owned(osscb_callback_warning(handle_.get(), i)));
        }
        return out;
    }

    /// The exact body that OSS would send for an upload with these values of system variables, such as
    /// `{"bucket", "examplebucket"}`. What is left out is as OSS has it for an empty upload.
    std::string preview(const Pairs &values = {}) const {
        const auto lent = detail::lend_pairs(values);
        osscb_string text{nullptr, 0};
        osscb_error *error = nullptr;
        const osscb_status status =
            osscb_callback_preview(handle_.get(), lent.data(), lent.size(), &text, &error);
        if (status != OSSCB_STATUS_OK) {
            detail::raise(status, error);
        }
        const detail::Handle<osscb_string, &osscb_string_free> owner(&text);
        return std::string(text.ptr, text.len);
    }

    /// The C handle, which stays with this object.
    const osscb_callback *get() const noexcept { return handle_.get(); }

private:
    detail::Handle<osscb_callback, &osscb_callback_free> handle_;
};

/// The application server's answer to the callback, and what OSS said of the stored object.
class CallbackReply {
public:
    /// Takes over a handle of C's.
    explicit CallbackReply(osscb_reply *handle) noexcept : handle_(handle) {}

    /// The callback body, byte for byte. A view into this object; a temporary gives a copy.
    std::string_view body() const & noexcept {
        const osscb_bytes bytes = osscb_reply_body(handle_.get());
        return std::string_view(reinterpret_cast<const char *>(bytes.ptr), bytes.len);
    }
    std::string body() && { return std::string(static_cast<const CallbackReply &>(*this).body()); }

    /// The callback body as UTF-8, with U+FFFD for what is none.
    std::string text() const { return detail::owned(osscb_reply_text(handle_.get())); }

    /// The callback body, once it is checked to be JSON, for a parser of yours.
    ///
    /// Throws `InvalidArgumentError` if it is not JSON; upload and callback succeeded all the same.
    std::string json() const {
        const char *text = nullptr;
        osscb_error *error = nullptr;
        const osscb_status status = osscb_reply_json(handle_.get(), &text, &error);
        if (status != OSSCB_STATUS_OK) {
            detail::raise(status, error);
        }
        return detail::owned(text);
    }

    /// Media type of the callback body.
    std::optional<std::string> content_type() const {
        return detail::maybe(osscb_reply_content_type(handle_.get()));
    }

    /// ETag of the object, without quotes.
    std::optional<std::string> etag() const { return detail::maybe(osscb_reply_etag(handle_.get())); }

    /// Version of the object, in a versioned bucket.
    std::optional<std::string> version_id() const {
        return detail::maybe(osscb_reply_version_id(handle_.get()));
    }

    /// OSS's id of the request.
    std::optional<std::string> request_id() const {
        return detail::maybe(osscb_reply_request_id(handle_.get()));
    }

    /// CRC-64 of the object. It was compared with that of the data sent.
    std::optional<std::uint64_t> crc64() const noexcept {
        std::uint64_t value = 0;
        return osscb_reply_crc64(handle_.get(), &value) ? std::optional<std::uint64_t>(value) : std::nullopt;
    }

    /// How long OSS worked on the request, callback included.
    std::optional<std::chrono::milliseconds> server_time() const noexcept {
        std::uint64_t value = 0;
        if (!osscb_reply_server_time_ms(handle_.get(), &value)) {
            return std::nullopt;
        }
        return std::chrono::milliseconds(static_cast<std::chrono::milliseconds::rep>(value));
    }

private:
    detail::Handle<osscb_reply, &osscb_reply_free> handle_;
};

class CallbackEvent;
struct Confirmation;

/// Uploads objects with callbacks. One client serves any number of threads at once and keeps its
/// connections alive between calls.
class Client {
public:
    /// Checks the options. Nothing is sent. What is not set comes from the environment.
    ///
    /// `credentials`: provides credentials, in place of the options for them. It is kept until the client,
    /// and what it has under way, is gone.
    ///
    /// Throws `InvalidArgumentError` or `CredentialsError`.
    explicit Client(const ClientOptions &options = {}, CredentialsFunction credentials = nullptr)
        : provider_(credentials ? std::make_shared<detail::Provider>() : nullptr),
          handle_(detail::made<osscb_client>([&](osscb_client **out, osscb_error **error) {
              using Options = detail::Handle<osscb_client_options, &osscb_client_options_free>;
              const auto filled = detail::filled<Options>(osscb_client_options_new(), options);
              if (provider_) {
                  provider_->function = std::move(credentials);
                  osscb_client_options_set_credentials_function(
                      filled.get(), &detail::Provider::provide, &detail::release_shared<detail::Provider>,
                      detail::shared_context(provider_));
              }
              return osscb_client_new(filled.get(), out, error);
          })) {}

    /// Uploads an object, has OSS call the application server, and returns its answer. Blocks until then.
    /// `data` is sent from where it lies; nothing reads it any more once the call is over.
    ///
    /// Throws an `Error`: `CallbackFailedError` if the object is stored but the callback failed,
    /// `ServiceError` if OSS refused, `OutcomeUnknownError` if the answer was lost, `NetworkError`,
    /// `TimeoutError`, `IntegrityError`, `CancelledError`; `InvalidArgumentError` and `CredentialsError` before
    /// anything is sent.
    CallbackReply put_object_with_callback(std::string_view bucket, std::string_view key, std::string_view data,
                                           const Callback &callback, const PutOptions &options = {},
                                           const Cancel *cancel = nullptr) const {
        return put_object_with_callback(bucket, key, data.data(), data.size(), callback, options, cancel);
    }

    /// The same for bytes of any type.
    CallbackReply put_object_with_callback(std::string_view bucket, std::string_view key, const void *data,
                                           std::size_t size, const Callback &callback,
                                           const PutOptions &options = {}, const Cancel *cancel = nullptr) const {
        const auto filled = detail::filled<PutHandle>(osscb_put_options_new(), options);
        return finished(nullptr, [&](osscb_reply **out, osscb_error **error) {
            return osscb_put_object_with_callback(handle_.get(), detail::lend(bucket), detail::lend(key), data,
                                                  size, callback.get(), filled.get(), raw(cancel), out, error);
        });
    }

    /// The same from a source, which is read while it is sent: a path, an `std::istream`, a function. At most
    /// 5 GiB; a stream cannot be had twice, so what fails after its first byte is not tried again.
    ///
    /// Throws `SourceError`, too, if the source cannot be read; nothing is stored then.
    CallbackReply put_object_with_callback(std::string_view bucket, std::string_view key, const Source &source,
                                           const Callback &callback, const PutOptions &options = {},
                                           const Cancel *cancel = nullptr) const {
        const auto filled = detail::filled<PutHandle>(osscb_put_options_new(), options);
        return finished(&source, [&](osscb_reply **out, osscb_error **error) {
            return osscb_put_source_with_callback(handle_.get(), detail::lend(bucket), detail::lend(key),
                                                  source.get(), callback.get(), filled.get(), raw(cancel), out,
                                                  error);
        });
    }

    /// Uploads a source of any size: in one request below the option `threshold`, in parts above it. OSS calls
    /// the application server once, when the object is whole, and its answer is returned. Blocks until then.
    ///
    /// An upload in parts that ends with an error is aborted, so that OSS keeps no parts, unless it has the
    /// option `checkpoint`: then the same call goes on where this one ended.
    ///
    /// `progress`: may be empty. To end the upload from within it, throw, or cancel.
    ///
    /// Throws as `put_object_with_callback` does, and what `progress` throws.
    CallbackReply upload_file_with_callback(std::string_view bucket, std::string_view key, const Source &source,
                                            const Callback &callback, const UploadOptions &options = {},
                                            const ProgressFunction &progress = nullptr,
                                            const Cancel *cancel = nullptr) const {
        using Options = detail::Handle<osscb_upload_options, &osscb_upload_options_free>;
        const auto filled = detail::filled<Options>(osscb_upload_options_new(), options);
        detail::Watcher watcher{progress};
        const auto call = [&](osscb_reply **out, osscb_error **error) {
            const osscb_status status = osscb_upload_file_with_callback(
                handle_.get(), detail::lend(bucket), detail::lend(key), source.get(), callback.get(),
                filled.get(), raw(cancel), progress ? &detail::Watcher::tell : nullptr, &watcher, out, error);
            if (status == OSSCB_STATUS_CANCELLED && watcher.thrown) {
                osscb_error_free(*error);
                std::rethrow_exception(watcher.thrown);
            }
            return status;
        };
        return finished(&source, call);
    }

    /// Asks OSS (HeadObject, with this client's credentials, which need `oss:GetObject`) whether the object of
    /// a callback is there with the ETag, size and CRC-64 that the callback tells: those that its body names,
    /// at least one. It proves what is stored now, not who stored it: hold the bucket against your own by
    /// `VerifierOptions::bucket` or a seal.
    ///
    /// Throws `VerificationError` with reason `object_missing` or `object_differs`; `InvalidArgumentError` for
    /// an event that names no bucket or key, or nothing to compare; else as `put_object_with_callback`.
    Confirmation confirm(const CallbackEvent &event, const Cancel *cancel = nullptr) const;

    /// Where requests go, such as `https://oss-cn-hangzhou.aliyuncs.com`.
    std::string endpoint() const { return detail::owned(osscb_client_endpoint(handle_.get())); }

    /// The region that requests are signed for, if one is known.
    std::optional<std::string> region() const { return detail::maybe(osscb_client_region(handle_.get())); }

    /// The C handle, which stays with this object.
    const osscb_client *get() const noexcept { return handle_.get(); }

private:
    using PutHandle = detail::Handle<osscb_put_options, &osscb_put_options_free>;

    static const osscb_cancel *raw(const Cancel *cancel) noexcept {
        return cancel == nullptr ? nullptr : cancel->get();
    }

    /// The reply of a call, or its failure, with what the program's own functions threw.
    template <typename Call>
    CallbackReply finished(const Source *source, Call &&call) const {
        osscb_reply *reply = nullptr;
        osscb_error *error = nullptr;
        const osscb_status status = call(&reply, &error);
        if (status == OSSCB_STATUS_OK) {
            return CallbackReply(reply);
        }
        if (const auto cause = source == nullptr ? nullptr : source->thrown();
            status == OSSCB_STATUS_SOURCE && cause) {
            detail::raise_nested<SourceError>(error, cause);
        }
        failed(status, error);
    }

    /// Throws the failure of a call, with what the credentials function threw.
    [[noreturn]] void failed(osscb_status status, osscb_error *error) const {
        if (const auto cause = provider_ ? provider_->last() : nullptr;
            status == OSSCB_STATUS_CREDENTIALS && cause) {
            detail::raise_nested<CredentialsError>(error, cause);
        }
        detail::raise(status, error);
    }

    std::shared_ptr<detail::Provider> provider_;
    detail::Handle<osscb_client, &osscb_client_free> handle_;
};

} // namespace oss_callback

#include "oss_callback/receive.hpp"
#include "oss_callback/signer.hpp"

#endif
