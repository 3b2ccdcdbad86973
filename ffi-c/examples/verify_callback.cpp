// Verifies a callback request that OSS has really sent, and refuses it without its query.
// In a server of yours, target, headers and body are those of the request, raw, as they arrived.
#include <iostream>

#include <oss_callback.hpp>

int main() try {
    oss_callback::VerifierOptions options;
    options.bucket = {"yonghu-test"};
    const oss_callback::CallbackVerifier verifier(options);

    const oss_callback::Pairs headers = {
        {"Authorization", "kKQeGTRccDKyHB3H9vF+xYMSrmhMZjzzl2/kdD1ktNVgbWEfYTQG0G2SU/RaHBovRCE8OkQDjC3uG33esH2txA=="},
        {"x-oss-pub-key-url", "aHR0cDovL2dvc3NwdWJsaWMuYWxpY2RuLmNvbS9jYWxsYmFja19wdWJfa2V5X3YxLnBlbQ=="}};
    const auto event = verifier.verify("POST", "/index.php?id=1&index=2", headers, "bucket=yonghu-test");
    std::cout << "a callback about the bucket " << event.bucket().value_or("") << '\n';

    verifier.verify("POST", "/index.php", headers, "bucket=yonghu-test");
} catch (const oss_callback::VerificationError &error) {
    std::cout << "without its query: " << error.reason() << '\n';
} catch (const oss_callback::Error &error) {
    std::cerr << name_of(error.kind()) << ": " << error.what() << '\n';
    return 1;
}
