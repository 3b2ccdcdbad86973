/* A test runner of one page: tests are functions without arguments, run one after another.
 *
 * A failed CHECK is noted and the test goes on; a failed REQUIRE leaves the function that it stands in. */
#ifndef TEST_H
#define TEST_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct test {
    const char *name;
    void (*run)(void);
} test;

/* A table row: the test's name is the function's. */
#define TEST(function) {#function, function}

#define CHECK(condition) test_check((condition), __FILE__, __LINE__, #condition)
#define CHECK_TEXT(actual, expected) test_check_text((actual), (expected), __FILE__, __LINE__, #actual)
#define REQUIRE(condition)                                             \
    do {                                                               \
        if (!test_check((condition), __FILE__, __LINE__, #condition)) \
            return;                                                    \
    } while (0)

bool test_check(bool holds, const char *file, int line, const char *what);
/* NULL equals NULL only. */
bool test_check_text(const char *actual, const char *expected, const char *file, int line, const char *what);
/* Notes a failure with a text of its own. */
void test_fail(const char *format, ...)
#ifdef __GNUC__
    __attribute__((format(printf, 1, 2)))
#endif
    ;

/* Runs the tests whose names are given, or all; prints `ok NAME` or `not ok NAME` for each, and last
 * `N passed, M failed`. Returns main's result. */
int test_main(int argc, char **argv, const test *tests, size_t count);

#ifdef __cplusplus
}
#endif

#endif
