/// @file signer.hpp
///
/// The part of oss_callback.hpp that signs requests for HTTP clients of your own. Include oss_callback.hpp.
#ifndef OSS_CALLBACK_SIGNER_HPP
#define OSS_CALLBACK_SIGNER_HPP

#include "../oss_callback.hpp"

namespace oss_callback {

/// Options of a `Signer`. All are optional, but signature V4 needs a region.
struct SignerOptions {
    /// STS token, for temporary credentials.
    std::optional<std::string> security_token{};
    /// Region, such as `cn-hangzhou`. It also gives the endpoint of signed URLs when none is named.
    std::optional<std::string> region{};
    /// V4: product, such as `oss-cloudbox`.
    ///
    /// Default: `oss`.
    std::optional<std::string> product{};
    /// How requests are signed.
    SignatureVersion version{SignatureVersion::V4};
};

/// What is to be signed.
struct SignRequest {
    /// `GET`, `PUT`, …
    std::string method{"GET"};
    /// Bucket; none for a request to the service.
    std::optional<std::string> bucket{};
    /// Object key, as it is, not encoded; none for a request to the bucket.
    std::optional<std::string> key{};
    /// Parameters, decoded; without a value for a name without `=`.
    std::vector<std::pair<std::string, std::optional<std::string>>> query{};
    /// Headers that will be sent.
    Pairs headers{};
    /// V4: names of further headers to sign, beside those that always are.
    std::vector<std::string> additional_headers{};
};

/// Where a signed URL leads, and for how long.
struct PresignOptions {
    /// How long the URL holds; at least one second, and by V4 at most 7 days. There is no default.
    std::chrono::seconds expires_in{};
    /// Endpoint, such as `https://oss-cn-hangzhou.aliyuncs.com`.
    ///
    /// Default: the region's.
    std::optional<std::string> endpoint{};
    /// Where the bucket's name goes.
    Addressing addressing{Addressing::Auto};
};

/// A signature by headers.
struct Signed {
    /// Headers to add to the request, `Authorization` among them.
    Pairs headers{};
    /// The signature itself.
    std::string signature{};
    /// V4 only: to compare with another signer's.
    std::optional<std::string> canonical_request{};
    /// What the signature is computed over.
    std::string string_to_sign{};
};

/// A signed URL. Whoever holds it can make the request until it expires.
struct PresignedRequest {
    /// The method that was signed.
    std::string method{};
    /// The URL.
    std::string url{};
    /// Headers that must be sent unchanged.
    Pairs headers{};
    /// The signature itself.
    std::string signature{};
    /// V4 only: to compare with another signer's.
    std::optional<std::string> canonical_request{};
    /// What the signature is computed over.
    std::string string_to_sign{};
};

/// Signs requests that you send with an HTTP client of your own.
class Signer {
public:
    /// A moment; fractions of a second are dropped.
    using Time = std::chrono::system_clock::time_point;

    /// Throws `InvalidArgumentError` or `CredentialsError`.
    Signer(std::string_view access_key_id, std::string_view access_key_secret, const SignerOptions &options)
        : handle_(detail::made<osscb_signer>([&](osscb_signer **out, osscb_error **error) {
              using Options = detail::Handle<osscb_signer_options, &osscb_signer_options_free>;
              const Options filled(osscb_signer_options_new());
              if (!filled) {
                  throw std::bad_alloc();
              }
              if (options.security_token) {
                  osscb_signer_options_set_security_token(filled.get(), detail::lend(*options.security_token));
              }
              if (options.region) {
                  osscb_signer_options_set_region(filled.get(), detail::lend(*options.region));
              }
              if (options.product) {
                  osscb_signer_options_set_product(filled.get(), detail::lend(*options.product));
              }
              osscb_signer_options_set_version(filled.get(), static_cast<osscb_signature_version>(options.version));
              return osscb_signer_new(detail::lend(access_key_id), detail::lend(access_key_secret), filled.get(),
                                      out, error);
          })) {}

    /// Signs by headers: send those of the result beside those of the request.
    Signed sign(const SignRequest &request, Time time = std::chrono::system_clock::now()) const {
        const Lent lent(request);
        const detail::Handle<osscb_signed, &osscb_signed_free> made(
            detail::made<osscb_signed>([&](osscb_signed **out, osscb_error **error) {
                return osscb_signer_sign(handle_.get(), &lent.request, detail::seconds(time), out, error);
            }));
        return Signed{
            detail::owned(osscb_signed_headers(made.get())),
            detail::owned(osscb_signed_signature(made.get())),
            detail::maybe(osscb_signed_canonical_request(made.get())),
            detail::owned(osscb_signed_string_to_sign(made.get())),
        };
    }

    /// Signs by URL.
    PresignedRequest presign(const SignRequest &request, const PresignOptions &options,
                             Time time = std::chrono::system_clock::now()) const {
        const Lent lent(request);
        const detail::Handle<osscb_presigned, &osscb_presigned_free> made(
            detail::made<osscb_presigned>([&](osscb_presigned **out, osscb_error **error) {
                return osscb_signer_presign(handle_.get(), &lent.request, detail::lend_maybe(options.endpoint),
                                            static_cast<osscb_addressing>(options.addressing),
                                            detail::count(options.expires_in), detail::seconds(time), out,
                                            error);
            }));
        return PresignedRequest{
            detail::owned(osscb_presigned_method(made.get())),
            detail::owned(osscb_presigned_url(made.get())),
            detail::owned(osscb_presigned_headers(made.get())),
            detail::owned(osscb_presigned_signature(made.get())),
            detail::maybe(osscb_presigned_canonical_request(made.get())),
            detail::owned(osscb_presigned_string_to_sign(made.get())),
        };
    }

    /// The form fields that a signed POST policy adds to a form, in order; they must stand before the field
    /// `file`. The policy must hold the `policy_conditions` of the same time.
    Pairs sign_policy(std::string_view policy_json, Time time = std::chrono::system_clock::now()) const {
        return pairs([&](osscb_pairs **out, osscb_error **error) {
            return osscb_signer_sign_policy(handle_.get(), detail::lend(policy_json), detail::seconds(time), out,
                                            error);
        });
    }

    /// The conditions that a POST policy must hold to be signed by this signer at `time`.
    Pairs policy_conditions(Time time = std::chrono::system_clock::now()) const {
        return pairs([&](osscb_pairs **out, osscb_error **error) {
            return osscb_signer_policy_conditions(handle_.get(), detail::seconds(time), out, error);
        });
    }

    /// The C handle, which stays with this object.
    const osscb_signer *get() const noexcept { return handle_.get(); }

private:
    /// A request as C takes it, and the arrays that it points to.
    struct Lent {
        std::vector<osscb_pair> query;
        std::vector<osscb_pair> headers;
        std::vector<osscb_str> additional_headers;
        osscb_sign_request request = OSSCB_SIGN_REQUEST_INIT;

        explicit Lent(const SignRequest &from) : query(detail::lend_pairs(from.query)), headers(detail::lend_pairs(from.headers)) {
            for (const auto &name : from.additional_headers) {
                additional_headers.push_back(detail::lend(name));
            }
            request.method = detail::lend(from.method);
            request.bucket = detail::lend_maybe(from.bucket);
            request.key = detail::lend_maybe(from.key);
            request.query = query.data();
            request.query_count = query.size();
            request.headers = headers.data();
            request.headers_count = headers.size();
            request.additional_headers = additional_headers.data();
            request.additional_headers_count = additional_headers.size();
        }
        Lent(const Lent &) = delete;
        Lent &operator=(const Lent &) = delete;
    };

    template <typename Function>
    static Pairs pairs(Function &&function) {
        const detail::Handle<osscb_pairs, &osscb_pairs_free> made(detail::made<osscb_pairs>(function));
        return detail::owned(made.get());
    }

    detail::Handle<osscb_signer, &osscb_signer_free> handle_;
};

} // namespace oss_callback

#endif
