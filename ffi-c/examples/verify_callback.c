/* Verifies a callback request that OSS has really sent, and refuses it without its query.
 * In a server of yours, target, headers and body are those of the request, raw, as they arrived. */
#include <oss_callback.h>
#include <stdio.h>

int main(void) {
    const osscb_pair headers[] = {
        {OSSCB_STR("Authorization"),
         OSSCB_STR("kKQeGTRccDKyHB3H9vF+xYMSrmhMZjzzl2/kdD1ktNVgbWEfYTQG0G2SU/RaHBovRCE8OkQDjC3uG33esH2txA==")},
        {OSSCB_STR("x-oss-pub-key-url"),
         OSSCB_STR("aHR0cDovL2dvc3NwdWJsaWMuYWxpY2RuLmNvbS9jYWxsYmFja19wdWJfa2V5X3YxLnBlbQ==")},
    };
    const osscb_str body = OSSCB_STR("bucket=yonghu-test");
    osscb_verifier *verifier = NULL;
    osscb_event *event = NULL;
    osscb_error *error = NULL;
    osscb_verifier_options *options = osscb_verifier_options_new();
    osscb_verifier_options_add_bucket(options, OSSCB_STR("yonghu-test"));

    osscb_status status = osscb_verifier_new(options, &verifier, &error);
    if (status == OSSCB_STATUS_OK)
        status = osscb_verifier_verify(verifier, OSSCB_STR("POST"), OSSCB_STR("/index.php?id=1&index=2"), headers, 2,
                                       body.ptr, body.len, &event, &error);
    if (status == OSSCB_STATUS_OK) {
        printf("a callback about the bucket %s\n", osscb_event_bucket(event).ptr);
        osscb_event_free(event);
        status = osscb_verifier_verify(verifier, OSSCB_STR("POST"), OSSCB_STR("/index.php"), headers, 2, body.ptr,
                                       body.len, &event, &error);
        printf("without its query: %s\n", osscb_error_reason(error));
    } else {
        fprintf(stderr, "%s: %s\n", osscb_status_name(status), osscb_error_message(error));
    }

    osscb_error_free(error);
    osscb_verifier_free(verifier);
    osscb_verifier_options_free(options);
    return status == OSSCB_STATUS_VERIFICATION ? 0 : 1;
}
