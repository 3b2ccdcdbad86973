/// @file receive.hpp
///
/// The application server's side: verify a callback request, understand it, ask OSS about it, and answer.
/// Part of oss_callback.hpp.
///
/// ```
/// oss_callback::VerifierOptions options;
/// options.bucket = {"photos"};
/// const oss_callback::CallbackVerifier verifier(options);
/// try {
///     const auto event = verifier.verify(method, target, headers, body);
///     send(oss_callback::Answer::reply(R"({"Status":"OK"})"));
/// } catch (const oss_callback::VerificationError &error) {
///     log(error.reason(), error.what());
///     send(oss_callback::Answer::refusal());
/// }
/// ```
#ifndef OSS_CALLBACK_RECEIVE_HPP
#define OSS_CALLBACK_RECEIVE_HPP

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../oss_callback.hpp"

namespace oss_callback {

/// A number in a callback body, or why there is none.
struct Number {
    enum class Kind : std::int32_t {
        Absent = OSSCB_NUMBER_ABSENT,   ///< The body does not name it.
        Empty = OSSCB_NUMBER_EMPTY,     ///< The body names it, but OSS had no value.
        Invalid = OSSCB_NUMBER_INVALID, ///< The body has something else than a number from 0 to 2^64 - 1.
        Value = OSSCB_NUMBER_VALUE,     ///< The number.
    };

    /// Whether there is one.
    Kind kind = Kind::Absent;
    /// The number, if there is one.
    std::optional<std::uint64_t> value{};
    /// What stands there instead, if it is invalid.
    std::string text{};
};

/// What a callback says of an image.
struct ImageInfo {
    Number width{};                      ///< In pixels.
    Number height{};                     ///< In pixels.
    std::optional<std::string> format{}; ///< Such as `jpg`; empty for what is not an image.
};

/// What kind of value a field was in the body. Of the form type all are text.
enum class FieldKind : std::int32_t {
    Text = OSSCB_FIELD_TEXT,     ///< Every value of a form, and JSON strings.
    Number = OSSCB_FIELD_NUMBER, ///< A JSON number.
    Bool = OSSCB_FIELD_BOOL,     ///< `true` or `false` in JSON.
    Null = OSSCB_FIELD_NULL,     ///< `null` in JSON; the text is empty.
};

/// One value of a callback body.
struct Field {
    std::string name{}; ///< Decoded; within JSON objects and arrays a path: `file.name`, `tags.0`.
    std::string text{}; ///< Decoded, with U+FFFD for what is not UTF-8.
    FieldKind kind = FieldKind::Text;
};

/// What a seal that was checked says.
struct Seal {
    std::string nonce{};                                ///< Made for one upload.
    std::chrono::system_clock::time_point expires_at{}; ///< From then on the seal is refused.
};

namespace detail {

inline std::optional<std::string> maybe(osscb_str text) {
    return text.ptr == nullptr ? std::nullopt : std::optional<std::string>(std::in_place, text.ptr, text.len);
}

inline std::string owned(osscb_str text) { return maybe(text).value_or(std::string()); }

inline Number number(const osscb_number &from) {
    Number out;
    out.kind = static_cast<Number::Kind>(from.kind);
    if (from.kind == OSSCB_NUMBER_VALUE) {
        out.value = from.value;
    }
    out.text = owned(from.text);
    return out;
}

inline std::chrono::system_clock::time_point moment(std::int64_t seconds) {
    return std::chrono::system_clock::time_point(std::chrono::seconds(seconds));
}

/// What functions of the program's have thrown on this thread, on its way around C.
struct Thrown {
    std::exception_ptr by_fetch_key{};
    std::exception_ptr by_first_use{};

    static Thrown &here() noexcept {
        thread_local Thrown thrown;
        return thrown;
    }
};

/// The functions of `VerifierOptions` as C calls them. No exception leaves them.
struct VerifierFunctions {
    using FetchKey = decltype(VerifierOptions::fetch_key);
    using FirstUse = decltype(VerifierOptions::first_use);

    static bool fetch_key(void *context, const char *url, osscb_key *key, osscb_failure *failure) noexcept {
        try {
            const std::string pem = in_context<const FetchKey>(context)(url);
            osscb_key_set(key, pem.data(), pem.size());
            return true;
        } catch (...) {
            Thrown::here().by_fetch_key = kept(failure);
            return false;
        }
    }

    static bool first_use(void *context, const char *nonce, std::int64_t expires_at) noexcept {
        try {
            return in_context<const FirstUse>(context)(nonce, moment(expires_at));
        } catch (...) {
            Thrown::here().by_first_use = std::current_exception();
            return false;
        }
    }
};

/// Headers as C takes them: of any range of pairs of texts.
template <typename Headers>
std::vector<osscb_pair> lend_headers(const Headers &headers) {
    std::vector<osscb_pair> out;
    for (const auto &header : headers) {
        out.push_back(osscb_pair{lend(std::string_view(header.first)), lend(std::string_view(header.second))});
    }
    return out;
}

} // namespace detail

/// What a verified callback says of the upload.
///
/// A text is absent if the body does not name the variable at all, and empty if OSS had no value for it. It
/// may hold NUL bytes. How far each can be believed depends on the checks that were made:
/// https://github.com/oss-callback/oss-callback/blob/main/docs/verifying.md
class CallbackEvent {
public:
    /// Takes over a handle of C's.
    explicit CallbackEvent(osscb_event *handle) noexcept : handle_(handle) {}

    /// Understands a body, without verifying anything: for a body that was verified elsewhere. `body_template`
    /// is the callback body as it was given to OSS; without it, fields go by OSS's own names.
    ///
    /// Throws `VerificationError` with reason `malformed_body`, or `InvalidArgumentError` for the template.
    static CallbackEvent parse(std::string_view body, BodyType type,
                               const std::optional<std::string> &body_template = std::nullopt) {
        return CallbackEvent(detail::made<osscb_event>([&](osscb_event **out, osscb_error **error) {
            return osscb_event_parse(body.data(), body.size(), static_cast<osscb_body_type>(type),
                                     detail::lend_maybe(body_template), out, error);
        }));
    }

    /// Name of the bucket.
    std::optional<std::string> bucket() const { return detail::maybe(osscb_event_bucket(handle_.get())); }
    /// The object's key, decoded.
    std::optional<std::string> key() const { return detail::maybe(osscb_event_key(handle_.get())); }
    /// The object's ETag, without quotes.
    std::optional<std::string> etag() const { return detail::maybe(osscb_event_etag(handle_.get())); }
    /// The object's size in bytes; of a multipart upload the whole.
    Number size() const { return detail::number(osscb_event_size(handle_.get())); }
    /// The object's Content-Type.
    std::optional<std::string> mime_type() const { return detail::maybe(osscb_event_mime_type(handle_.get())); }
    /// The object's CRC-64.
    Number crc64() const { return detail::number(osscb_event_crc64(handle_.get())); }
    /// Base64 of the object's MD5. OSS fills it in for PutObject and PostObject only.
    std::optional<std::string> content_md5() const {
        return detail::maybe(osscb_event_content_md5(handle_.get()));
    }
    /// Size and format of an image.
    ImageInfo image() const {
        return ImageInfo{detail::number(osscb_event_image_width(handle_.get())),
                         detail::number(osscb_event_image_height(handle_.get())),
                         detail::maybe(osscb_event_image_format(handle_.get()))};
    }
    /// Address that the upload came from.
    std::optional<std::string> client_ip() const { return detail::maybe(osscb_event_client_ip(handle_.get())); }
    /// VPC that the upload came from; empty if it came from none.
    std::optional<std::string> vpc_id() const { return detail::maybe(osscb_event_vpc_id(handle_.get())); }
    /// OSS's id of the upload request.
    std::optional<std::string> request_id() const { return detail::maybe(osscb_event_request_id(handle_.get())); }
    /// Name of the upload's API, such as `PutObject`.
    std::optional<std::string> operation() const { return detail::maybe(osscb_event_operation(handle_.get())); }

    /// A custom variable, by its name with or without `x:`.
    std::optional<std::string> variable(std::string_view name) const {
        return detail::maybe(osscb_event_variable(handle_.get(), detail::lend(name)));
    }

    /// All custom variables by their name without `x:`, sorted. The seal is not among them.
    Pairs variables() const {
        Pairs out;
        for (std::size_t i = 0; i < osscb_event_variable_count(handle_.get()); i++) {
            out.emplace_back(detail::owned(osscb_event_variable_name(handle_.get(), i)),
                             detail::owned(osscb_event_variable_value(handle_.get(), i)));
        }
        return out;
    }

    /// All fields, as they stood in the body and in its order.
    std::vector<Field> fields() const {
        std::vector<Field> out;
        for (std::size_t i = 0; i < osscb_event_field_count(handle_.get()); i++) {
            out.push_back(Field{detail::owned(osscb_event_field_name(handle_.get(), i)),
                                detail::owned(osscb_event_field_text(handle_.get(), i)),
                                static_cast<FieldKind>(osscb_event_field_kind(handle_.get(), i))});
        }
        return out;
    }

    /// The seal, if the verifier was given secrets and so has checked it.
    std::optional<Seal> seal() const {
        std::int64_t expires_at = 0;
        if (!osscb_event_seal_expires_at(handle_.get(), &expires_at)) {
            return std::nullopt;
        }
        return Seal{detail::owned(osscb_event_seal_nonce(handle_.get())), detail::moment(expires_at)};
    }

    /// The C handle, which stays with this object.
    const osscb_event *get() const noexcept { return handle_.get(); }

private:
    detail::Handle<osscb_event, &osscb_event_free> handle_;
};

/// Verifies callback requests. One serves any number of threads at once.
class CallbackVerifier {
public:
    using Time = std::chrono::system_clock::time_point;

    /// Checks the options. Nothing is sent. The default needs no settings and, for OSS's present key, no
    /// network.
    ///
    /// Throws `InvalidArgumentError` for a key that is not an RSA public key, a template that cannot be read
    /// backwards, a secret under 16 bytes, `first_use` without a secret, or if no key is trusted at all.
    explicit CallbackVerifier(const VerifierOptions &options = {})
        : handle_(detail::made<osscb_verifier>([&](osscb_verifier **out, osscb_error **error) {
              using Options = detail::Handle<osscb_verifier_options, &osscb_verifier_options_free>;
              const auto filled = detail::filled<Options>(osscb_verifier_options_new(), options);
              if (options.callback != nullptr) {
                  osscb_verifier_options_set_callback(filled.get(), options.callback->get());
              }
              using detail::VerifierFunctions;
              if (options.fetch_key) {
                  using Function = const VerifierFunctions::FetchKey;
                  osscb_verifier_options_set_fetch_key(
                      filled.get(), &VerifierFunctions::fetch_key, &detail::release_shared<Function>,
                      detail::shared_context(std::make_shared<Function>(options.fetch_key)));
              }
              if (options.first_use) {
                  using Function = const VerifierFunctions::FirstUse;
                  osscb_verifier_options_set_first_use(
                      filled.get(), &VerifierFunctions::first_use, &detail::release_shared<Function>,
                      detail::shared_context(std::make_shared<Function>(options.first_use)));
              }
              return osscb_verifier_new(filled.get(), out, error);
          })) {}

    /// Verifies a callback request and tells what it says. It may wait for a key to be fetched.
    ///
    /// `target` is the raw request target with its query (`/cb?id=1`; a whole URL is read as its path and
    /// query), `headers` are all the request's as they arrived: `Pairs`, or any range of pairs of texts, such
    /// as a `std::multimap`. `body` is the raw bytes. Only a seal's expiry depends on `now`.
    ///
    /// Throws `VerificationError` with the failed check as `reason()` and, where it can be told, the accident
    /// that explains it as `hint()`. Both are for your log: to the sender answer `Answer::refusal`. What
    /// `first_use` throws comes out as it is; what `fetch_key` throws is nested in the error of the call that
    /// asked it.
    template <typename Headers = Pairs>
    CallbackEvent verify(std::string_view method, std::string_view target, const Headers &headers,
                         std::string_view body, Time now = std::chrono::system_clock::now()) const {
        const auto lent = detail::lend_headers(headers);
        return CallbackEvent(judged<osscb_event *>([&](osscb_event **event, osscb_error **error) {
            return osscb_verifier_verify_at(handle_.get(), detail::lend(method), detail::lend(target),
                                            lent.data(), lent.size(), body.data(), body.size(),
                                            detail::seconds(now), event, error);
        }));
    }

    /// Verifies the signature only, not the body or the seal: for bodies that are neither form nor JSON.
    template <typename Headers = Pairs>
    void verify_signature(std::string_view method, std::string_view target, const Headers &headers,
                          std::string_view body) const {
        const auto lent = detail::lend_headers(headers);
        judged<bool>([&](bool *, osscb_error **error) {
            return osscb_verifier_verify_signature(handle_.get(), detail::lend(method), detail::lend(target),
                                                   lent.data(), lent.size(), body.data(), body.size(), error);
        });
    }

    /// Largest body in bytes that is accepted: nothing beyond it needs to be read.
    std::size_t max_body() const noexcept { return osscb_verifier_max_body(handle_.get()); }

    /// Longest time for a body to arrive, for who reads it: what has not arrived by then is answered by
    /// Answer::refusal.
    std::chrono::milliseconds body_timeout() const noexcept {
        return std::chrono::milliseconds(osscb_verifier_body_timeout_ms(handle_.get()));
    }

    /// The C handle, which stays with this object.
    const osscb_verifier *get() const noexcept { return handle_.get(); }

private:
    /// What a verification gives, or its failure, with what the program's own functions threw.
    template <typename T, typename Call>
    static T judged(Call &&call) {
        T out{};
        osscb_error *error = nullptr;
        detail::Thrown::here() = detail::Thrown();
        const osscb_status status = call(&out, &error);
        const detail::Thrown thrown = std::exchange(detail::Thrown::here(), detail::Thrown());
        if (status == OSSCB_STATUS_OK) {
            return out;
        }
        if (thrown.by_first_use) {
            osscb_error_free(error);
            std::rethrow_exception(thrown.by_first_use);
        }
        if (status == OSSCB_STATUS_VERIFICATION && thrown.by_fetch_key) {
            detail::raise_nested<VerificationError>(error, thrown.by_fetch_key);
        }
        detail::raise(status, error);
    }

    detail::Handle<osscb_verifier, &osscb_verifier_free> handle_;
};

/// What OSS says of an object whose callback it has confirmed. What OSS did not say is absent.
struct Confirmation {
    std::optional<std::string> etag{};                                    ///< Without quotes.
    std::optional<std::uint64_t> size{};                                  ///< In bytes.
    std::optional<std::uint64_t> crc64{};                                 ///< CRC-64.
    std::optional<std::string> content_type{};                            ///< Content-Type.
    std::optional<std::chrono::system_clock::time_point> last_modified{}; ///< To the second.
    std::optional<std::string> version_id{};                              ///< In a versioned bucket.
    std::optional<std::string> request_id{};                              ///< OSS's id of the question.
};

inline Confirmation Client::confirm(const CallbackEvent &event, const Cancel *cancel) const {
    osscb_confirmation *made = nullptr;
    osscb_error *error = nullptr;
    const osscb_status status = osscb_client_confirm(handle_.get(), event.get(), raw(cancel), &made, &error);
    if (status != OSSCB_STATUS_OK) {
        failed(status, error);
    }
    const detail::Handle<osscb_confirmation, &osscb_confirmation_free> found(made);
    Confirmation out;
    out.etag = detail::maybe(osscb_confirmation_etag(found.get()));
    if (std::uint64_t size = 0; osscb_confirmation_size(found.get(), &size)) {
        out.size = size;
    }
    if (std::uint64_t crc64 = 0; osscb_confirmation_crc64(found.get(), &crc64)) {
        out.crc64 = crc64;
    }
    out.content_type = detail::maybe(osscb_confirmation_content_type(found.get()));
    if (std::int64_t time = 0; osscb_confirmation_last_modified(found.get(), &time)) {
        out.last_modified = detail::moment(time);
    }
    out.version_id = detail::maybe(osscb_confirmation_version_id(found.get()));
    out.request_id = detail::maybe(osscb_confirmation_request_id(found.get()));
    return out;
}

/// An HTTP answer to a callback request: send it as it is.
struct Answer {
    int status = 0;     ///< HTTP status.
    Pairs headers{};    ///< `Content-Type` and `Content-Length`, which OSS demands.
    std::string body{}; ///< The body, which OSS passes on to the uploader unchanged.

    /// The answer that makes the upload succeed; the uploader gets `json` as it is.
    ///
    /// Throws `InvalidArgumentError` for what OSS refuses: nothing at all, a byte order mark, invalid JSON,
    /// or more than 1 MB.
    static Answer reply(std::string_view json) {
        return taken(detail::made<osscb_answer>([&](osscb_answer **out, osscb_error **error) {
            return osscb_answer_new(json.data(), json.size(), out, error);
        }));
    }

    /// The answer to a request that did not verify: status 403, the same for every reason, so that a forger
    /// learns nothing from it.
    static Answer refusal() { return taken(osscb_answer_new_refusal()); }

    /// The answer when a callback did verify, but could not be acted on: status 500. The upload ends as
    /// `CallbackFailedError`.
    static Answer failure() { return taken(osscb_answer_new_failure()); }

private:
    static Answer taken(osscb_answer *answer) {
        if (answer == nullptr) {
            throw std::bad_alloc();
        }
        const detail::Handle<osscb_answer, &osscb_answer_free> owner(answer);
        const osscb_bytes body = osscb_answer_body(answer);
        Answer out;
        out.status = osscb_answer_status(answer);
        out.headers = detail::owned(osscb_answer_headers(answer));
        out.body.assign(reinterpret_cast<const char *>(body.ptr), body.len);
        return out;
    }
};

} // namespace oss_callback

#endif
