/* The scenarios of tests/scenarios.toml, in a file for each table. */
#ifndef SCENARIOS_H
#define SCENARIOS_H

#include "support.h"

#define TABLE(name) \
    extern const test name[]; \
    extern const size_t name##_count

TABLE(upload_tests);
TABLE(failure_tests);
TABLE(life_tests);
TABLE(source_tests);
TABLE(completion_tests);
TABLE(in_flight_tests);
TABLE(vector_tests);
TABLE(verify_tests);
TABLE(receive_tests);

#endif
