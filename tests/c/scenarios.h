/* The scenarios of tests/scenarios.toml, in four files. */
#ifndef SCENARIOS_H
#define SCENARIOS_H

#include "support.h"

#define TABLE(name) \
    extern const test name[]; \
    extern const size_t name##_count

TABLE(upload_tests);
TABLE(failure_tests);
TABLE(life_tests);
TABLE(vector_tests);

#endif
