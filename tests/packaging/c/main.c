/* A program outside of the tree: everything is there, and works as far as it does without a server. */
#include <oss_callback.h>

#include <stdio.h>

int main(void) {
    osscb_callback *callback = NULL;
    osscb_error *error = NULL;
    osscb_status status = osscb_callback_new(OSSCB_STR("https://app.example.com/callback"), NULL, &callback, &error);
    if (status != OSSCB_STATUS_OK) {
        fprintf(stderr, "%s\n", osscb_error_message(error));
        osscb_error_free(error);
        return 1;
    }
    printf("oss_callback %s: %s\n", osscb_version(), osscb_callback_json(callback));
    osscb_callback_free(callback);
    return osscb_live_handles() == 0 ? 0 : 1;
}
