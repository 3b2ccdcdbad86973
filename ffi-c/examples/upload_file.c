/* Uploads a file of any size, shows how far it is, and prints what the application server answered.
 * Interrupted or killed, it goes on where it was when it is started again.
 *
 *     upload_file FILE
 *
 * `oss-callback serve` prints an environment to try it with; CALLBACK_URL is your application server's. */
#include <inttypes.h>
#include <oss_callback.h>
#include <stdio.h>
#include <stdlib.h>

static bool show(void *context, const osscb_progress *progress) {
    (void)context;
    fprintf(stderr, "\r%" PRIu64 " of %" PRIu64 " bytes", progress->bytes_done, progress->bytes_total);
    return true; /* go on */
}

int main(int argc, char **argv) {
    char checkpoint[4096];
    osscb_client *client = NULL;
    osscb_callback *callback = NULL;
    osscb_source *source = NULL;
    osscb_reply *reply = NULL;
    osscb_error *error = NULL;
    const char *path = argc > 1 ? argv[1] : "";
    osscb_upload_options *options = osscb_upload_options_new();
    snprintf(checkpoint, sizeof checkpoint, "%s.checkpoint", path);
    osscb_upload_options_set_checkpoint(options, osscb_str_of(checkpoint));

    /* Without options all comes from the environment: OSS_ENDPOINT, OSS_REGION, OSS_ACCESS_KEY_ID, ... */
    osscb_status status = osscb_client_new(NULL, &client, &error);
    if (status == OSSCB_STATUS_OK)
        status = osscb_callback_new(osscb_str_of(getenv("CALLBACK_URL")), NULL, &callback, &error);
    if (status == OSSCB_STATUS_OK)
        status = osscb_source_of_path(osscb_str_of(path), &source, &error);
    if (status == OSSCB_STATUS_OK)
        status = osscb_upload_file_with_callback(client, OSSCB_STR("examplebucket"), OSSCB_STR("film.mp4"), source,
                                                 callback, options, NULL, show, NULL, &reply, &error);

    fprintf(stderr, "\n");
    if (status == OSSCB_STATUS_OK)
        printf("%s\n", osscb_reply_text(reply));
    else
        fprintf(stderr, "%s: %s\n", osscb_status_name(status), osscb_error_message(error));

    osscb_reply_free(reply);
    osscb_error_free(error);
    osscb_source_free(source);
    osscb_callback_free(callback);
    osscb_client_free(client);
    osscb_upload_options_free(options);
    return status == OSSCB_STATUS_OK ? 0 : 1;
}
