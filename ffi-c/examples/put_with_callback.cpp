// Uploads an object and prints what the application server answered.
// `oss-callback serve` prints an environment to try it with; CALLBACK_URL is your application server's.
#include <cstdlib>
#include <iostream>

#include <oss_callback.hpp>

int main() try {
    // Without options all comes from the environment: OSS_ENDPOINT, OSS_REGION, OSS_ACCESS_KEY_ID, ...
    const oss_callback::Client client;
    const char *url = std::getenv("CALLBACK_URL");
    oss_callback::CallbackOptions options;
    options.vars = {{"order", "42"}};
    const oss_callback::Callback callback(url == nullptr ? "" : url, options);

    const auto reply = client.put_object_with_callback("examplebucket", "hello.txt", "Hello OSS", callback);

    std::cout << reply.text() << '\n';
} catch (const oss_callback::CallbackFailedError &error) {
    std::cerr << "stored with ETag " << error.etag() << ", but: " << error.what() << '\n';
    return 1;
} catch (const oss_callback::Error &error) {
    std::cerr << name_of(error.kind()) << ": " << error.what() << '\n';
    return 1;
}
