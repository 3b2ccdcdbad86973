/* The driver for C: `driver c WORKLOAD name=value...` prints one line of JSON. */
#define _POSIX_C_SOURCE 200809L
#include <oss_callback.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

static osscb_client *client;
static osscb_callback *callback;
static char *data;
static size_t size;
static long ways;
static long operations;
static double seconds;

static const char *given(int argc, char **argv, const char *name, const char *otherwise) {
    size_t length = strlen(name);
    for (int i = 3; i < argc; i++)
        if (strncmp(argv[i], name, length) == 0 && argv[i][length] == '=')
            return argv[i] + length + 1;
    return otherwise;
}

static void fail(const char *what, osscb_error *error) {
    fprintf(stderr, "driver: %s: %s\n", what, error ? osscb_error_message(error) : "");
    exit(1);
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static double cpu(const struct rusage *usage) {
    return (double)(usage->ru_utime.tv_sec + usage->ru_stime.tv_sec) +
           (double)(usage->ru_utime.tv_usec + usage->ru_stime.tv_usec) / 1e6;
}

static void put(long worker, long i) {
    char key[64];
    osscb_reply *reply = NULL;
    osscb_error *error = NULL;
    snprintf(key, sizeof key, "k/%ld-%ld", worker, i);
    if (osscb_put_object_with_callback(client, OSSCB_STR("examplebucket"), osscb_str_of(key), data, size, callback,
                                       NULL, NULL, &reply, &error) != OSSCB_STATUS_OK)
        fail("put", error);
    osscb_reply_free(reply);
}

struct worker {
    pthread_t thread;
    long number;
    long limit;
    double deadline;
    long done;
};

static void *work(void *argument) {
    struct worker *self = argument;
    while (self->limit > 0 ? self->done < self->limit : now() < self->deadline)
        put(self->number, self->done++);
    return NULL;
}

static long all(long limit, double deadline) {
    long done = 0;
    struct worker *workers = calloc((size_t)ways, sizeof *workers);
    for (long i = 0; i < ways; i++) {
        workers[i].number = i;
        workers[i].limit = limit;
        workers[i].deadline = deadline;
        if (pthread_create(&workers[i].thread, NULL, work, &workers[i]) != 0)
            fail("no thread", NULL);
    }
    for (long i = 0; i < ways; i++) {
        pthread_join(workers[i].thread, NULL);
        done += workers[i].done;
    }
    free(workers);
    return done;
}

/* A whole file, in one request or in parts. */
static void upload(const char *path, int in_parts, long part) {
    osscb_reply *reply = NULL;
    osscb_error *error = NULL;
    osscb_source *source = NULL;
    osscb_upload_options *options = osscb_upload_options_new();
    osscb_upload_options_set_threshold(options, in_parts ? 0 : (uint64_t)5 << 30);
    osscb_upload_options_set_part_size(options, (uint64_t)part);
    osscb_upload_options_set_parallel(options, (uint64_t)ways);
    if (osscb_source_of_path(osscb_str_of(path), &source, &error) != OSSCB_STATUS_OK ||
        osscb_upload_file_with_callback(client, OSSCB_STR("examplebucket"), OSSCB_STR("k"), source, callback,
                                        options, NULL, NULL, NULL, &reply, &error) != OSSCB_STATUS_OK)
        fail("upload", error);
    osscb_reply_free(reply);
    osscb_source_free(source);
    osscb_upload_options_free(options);
}

static size_t length_of(const char *path) {
    FILE *file = fopen(path, "rb");
    if (file == NULL || fseek(file, 0, SEEK_END) != 0)
        fail(path, NULL);
    long length = ftell(file);
    fclose(file);
    return (size_t)length;
}

int main(int argc, char **argv) {
    int in_parts = argc > 2 && strcmp(argv[2], "multipart") == 0;
    int is_file = in_parts || (argc > 2 && strcmp(argv[2], "put-file") == 0);
    osscb_error *error = NULL;
    osscb_client_options *options = osscb_client_options_new();
    osscb_callback_options *more = osscb_callback_options_new();
    if (argc < 3 || (!is_file && strcmp(argv[2], "put") != 0))
        fail("no such workload", NULL);
    ways = strtol(given(argc, argv, "ways", "1"), NULL, 10);
    size = strtoul(given(argc, argv, "size", "4096"), NULL, 10);
    operations = strtol(given(argc, argv, "n", "0"), NULL, 10);
    seconds = strtod(given(argc, argv, "seconds", "1"), NULL);
    data = calloc(1, size);
    osscb_client_options_set_endpoint(options, osscb_str_of(given(argc, argv, "endpoint", "")));
    osscb_client_options_set_region(options, OSSCB_STR("cn-hangzhou"));
    osscb_client_options_set_proxy(options, OSSCB_STR("none"));
    osscb_client_options_set_access_key_id(options, OSSCB_STR("LTAI5tExampleKeyId0001"));
    osscb_client_options_set_access_key_secret(options, OSSCB_STR("ExampleSecretKey/for+tests=0001"));
    osscb_callback_options_add_var(more, OSSCB_STR("uid"), OSSCB_STR("12345"));
    if (osscb_client_new(options, &client, &error) != OSSCB_STATUS_OK ||
        osscb_callback_new(OSSCB_STR("http://app.example.com/oss/cb"), more, &callback, &error) != OSSCB_STATUS_OK)
        fail("client", error);

    if (is_file) {
        size = 1;
        put(0, 0);
    } else {
        double warm = strtod(given(argc, argv, "warm_seconds", "0"), NULL);
        all(warm > 0 ? 0 : 20, now() + warm);
    }
    const char *path = given(argc, argv, "file", "");
    struct rusage before, after;
    getrusage(RUSAGE_SELF, &before);
    double start = now();
    long done = 1;
    if (is_file)
        upload(path, in_parts, strtol(given(argc, argv, "part", "8388608"), NULL, 10));
    else
        done = all(operations / ways, start + seconds);
    double elapsed = now() - start;
    getrusage(RUSAGE_SELF, &after);
    printf("{\"ops\":%ld,\"bytes\":%zu,\"seconds\":%.6f,\"cpu\":%.6f,\"idle_kib\":%ld,\"peak_kib\":%ld}\n", done,
           is_file ? length_of(path) : (size_t)done * size, elapsed, cpu(&after) - cpu(&before), before.ru_maxrss, after.ru_maxrss);

    osscb_callback_free(callback);
    osscb_client_free(client);
    osscb_callback_options_free(more);
    osscb_client_options_free(options);
    free(data);
    return 0;
}
