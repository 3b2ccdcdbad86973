// Uploads a file of any size, shows how far it is, and prints what the application server answered.
// Interrupted or killed, it goes on where it was when it is started again.
//
//     upload_file FILE
//
// `oss-callback serve` prints an environment to try it with; CALLBACK_URL is your application server's.
#include <cstdlib>
#include <filesystem>
#include <iostream>

#include <oss_callback.hpp>

int main(int argc, char **argv) try {
    const std::filesystem::path file = argc > 1 ? argv[1] : "";
    const char *url = std::getenv("CALLBACK_URL");
    // Without options all comes from the environment: OSS_ENDPOINT, OSS_REGION, OSS_ACCESS_KEY_ID, ...
    const oss_callback::Client client;
    const oss_callback::Callback callback(url == nullptr ? "" : url);
    oss_callback::UploadOptions options;
    options.checkpoint = file.string() + ".checkpoint";

    const auto reply = client.upload_file_with_callback(
        "examplebucket", "film.mp4", file, callback, options, [](const oss_callback::Progress &progress) {
            std::cerr << '\r' << progress.bytes_done << " of " << progress.bytes_total.value_or(0) << " bytes";
        });

    std::cerr << '\n';
    std::cout << reply.text() << '\n';
} catch (const oss_callback::Error &error) {
    std::cerr << '\n' << name_of(error.kind()) << ": " << error.what() << '\n';
    return 1;
}
