/* Uploads an object and prints what the application server answered.
 * `oss-callback serve` prints an environment to try it with; CALLBACK_URL is your application server's. */
#include <oss_callback.h>
#include <stdio.h>
#include <stdlib.h>

int main(void) {
    osscb_client *client = NULL;
    osscb_callback *callback = NULL;
    osscb_reply *reply = NULL;
    osscb_error *error = NULL;
    osscb_callback_options *options = osscb_callback_options_new();
    osscb_callback_options_add_var(options, OSSCB_STR("order"), OSSCB_STR("42"));

    /* Without options all comes from the environment: OSS_ENDPOINT, OSS_REGION, OSS_ACCESS_KEY_ID, ... */
    osscb_status status = osscb_client_new(NULL, &client, &error);
    if (status == OSSCB_STATUS_OK)
        status = osscb_callback_new(osscb_str_of(getenv("CALLBACK_URL")), options, &callback, &error);
    if (status == OSSCB_STATUS_OK)
        status = osscb_put_object_with_callback(client, OSSCB_STR("examplebucket"), OSSCB_STR("hello.txt"),
                                                "Hello OSS", 9, callback, NULL, NULL, &reply, &error);

    if (status == OSSCB_STATUS_OK)
        printf("%s\n", osscb_reply_text(reply));
    else
        fprintf(stderr, "%s: %s\n", osscb_status_name(status), osscb_error_message(error));

    osscb_reply_free(reply);
    osscb_error_free(error);
    osscb_callback_free(callback);
    osscb_client_free(client);
    osscb_callback_options_free(options);
    return status == OSSCB_STATUS_OK ? 0 : 1;
}
