#include "test.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static int failures;

bool test_check(bool holds, const char *file, int line, const char *what) {
    if (!holds) {
        test_fail("%s:%d: %s", file, line, what);
    }
    return holds;
}

bool test_check_text(const char *actual, const char *expected, const char *file, int line, const char *what) {
    bool same = actual == expected || (actual != NULL && expected != NULL && strcmp(actual, expected) == 0);
    if (!same) {
        test_fail("%s:%d: %s is `%s`, not `%s`", file, line, what, actual == NULL ? "(null)" : actual,
                  expected == NULL ? "(null)" : expected);
    }
    return same;
}

void test_fail(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fputs("    ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    failures++;
}

static bool chosen(const char *name, int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], name) == 0) {
            return true;
        }
    }
    return argc < 2;
}

int test_main(int argc, char **argv, const test *tests, size_t count) {
    int passed = 0;
    int failed = 0;
    for (size_t i = 0; i < count; i++) {
        if (!chosen(tests[i].name, argc, argv)) {
            continue;
        }
        failures = 0;
        tests[i].run();
        if (failures == 0) {
            passed++;
        } else {
            failed++;
        }
        printf("%s %s\n", failures == 0 ? "ok" : "not ok", tests[i].name);
        fflush(stdout);
    }
    printf("%d passed, %d failed\n", passed, failed);
    return failed == 0 && passed > 0 ? 0 : 1;
}
