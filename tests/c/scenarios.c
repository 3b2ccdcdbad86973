#include "scenarios.h"

#include <signal.h>
#include <string.h>

int main(int argc, char **argv) {
    test all[64];
    size_t count = 0;
    const struct {
        const test *tests;
        size_t count;
    } files[] = {
        {upload_tests, upload_tests_count},
        {failure_tests, failure_tests_count},
        {life_tests, life_tests_count},
        {source_tests, source_tests_count},
        {completion_tests, completion_tests_count},
        {in_flight_tests, in_flight_tests_count},
        {vector_tests, vector_tests_count},
        {verify_tests, verify_tests_count},
        {receive_tests, receive_tests_count},
    };
    signal(SIGPIPE, SIG_IGN);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        memcpy(all + count, files[i].tests, files[i].count * sizeof *all);
        count += files[i].count;
    }
    return test_main(argc, argv, all, count);
}
