// A program outside of the tree: everything is there, and works as far as it does without a server.
#include <oss_callback.hpp>

#include <chrono>
#include <iostream>

int main() {
    oss_callback::SignerOptions options;
    options.region = "cn-hangzhou";
    const oss_callback::Signer signer("id", "secret", options);
    oss_callback::SignRequest request;
    request.bucket = "examplebucket";
    request.key = "a.txt";
    oss_callback::PresignOptions place;
    place.expires_in = std::chrono::hours(1);
    std::cout << "oss_callback " << oss_callback::version() << ": " << signer.presign(request, place).url << '\n';
    try {
        oss_callback::Callback callback("not a URL");
    } catch (const oss_callback::InvalidArgumentError &error) {
        return error.field() == "callback.url" ? 0 : 1;
    }
    return 1;
}
