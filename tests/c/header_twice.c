/* The header alone, twice, before any other; and each of its macros once. */
#include "oss_callback.h"
#include "oss_callback.h"

int header_twice(void);

int header_twice(void) {
    osscb_sign_request request = OSSCB_SIGN_REQUEST_INIT;
    osscb_str none = OSSCB_NO_STR;
    osscb_addressing addressing = OSSCB_ADDRESSING_PATH;
    request.method = OSSCB_STR("GET");
    return request.size == sizeof request && none.ptr == NULL && addressing > 0 && OSSCB_NOW < 0;
}
