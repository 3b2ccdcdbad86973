#define _POSIX_C_SOURCE 200809L

#include "support.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

const char *testbed(const char *name) {
    const char *value = getenv(name);
    if (value == NULL || *value == '\0') {
        fprintf(stderr, "%s is not set: run this under `cargo xtask test c`\n", name);
        exit(2);
    }
    return value;
}

osscb_client *client_with(const char *endpoint, const char *secret, const char *token,
                          osscb_signature_version version) {
    const char *id = token == NULL ? testbed("OSS_ACCESS_KEY_ID") : testbed("STS_ACCESS_KEY_ID");
    if (endpoint == NULL) {
        endpoint = testbed("OSS_ENDPOINT");
    }
    if (secret == NULL) {
        secret = testbed(token == NULL ? "OSS_ACCESS_KEY_SECRET" : "STS_ACCESS_KEY_SECRET");
    }
    osscb_client_options *options = osscb_client_options_new();
    osscb_client_options_set_endpoint(options, osscb_str_of(endpoint));
    osscb_client_options_set_region(options, osscb_str_of(testbed("OSS_REGION")));
    osscb_client_options_set_access_key_id(options, osscb_str_of(id));
    osscb_client_options_set_access_key_secret(options, osscb_str_of(secret));
    osscb_client_options_set_signature_version(options, version);
    if (token != NULL) {
        osscb_client_options_set_security_token(options, osscb_str_of(token));
    }
    osscb_client *client = NULL;
    osscb_error *error = NULL;
    if (osscb_client_new(options, &client, &error) != OSSCB_STATUS_OK) {
        test_fail("client: %s", osscb_error_message(error));
    }
    osscb_error_free(error);
    osscb_client_options_free(options);
    return client;
}

osscb_client *client_of(const char *endpoint) {
    return client_with(endpoint, NULL, NULL, OSSCB_SIGNATURE_VERSION_V4);
}

osscb_callback *callback_to(const char *path, osscb_callback_options *options) {
    char url[512];
    osscb_callback *callback = NULL;
    osscb_error *error = NULL;
    snprintf(url, sizeof url, "%s%s", *path == '/' ? testbed("APP_URL") : "", path);
    if (osscb_callback_new(osscb_str_of(url), options, &callback, &error) != OSSCB_STATUS_OK) {
        test_fail("callback to %s: %s", url, osscb_error_message(error));
    }
    osscb_error_free(error);
    osscb_callback_options_free(options);
    return callback;
}

osscb_callback_options *json_body(const char *body) {
    osscb_callback_options *options = osscb_callback_options_new();
    osscb_callback_options_set_body(options, osscb_str_of(body));
    osscb_callback_options_set_body_type(options, OSSCB_BODY_TYPE_JSON);
    return options;
}

outcome put(const osscb_client *client, const char *key, const void *data, size_t len,
            const osscb_callback *callback, const osscb_put_options *options, const osscb_cancel *cancel) {
    outcome out = {OSSCB_STATUS_OK, NULL, NULL};
    out.status = osscb_put_object_with_callback(client, BUCKET, osscb_str_of(key), data, len, callback, options,
                                                cancel, &out.reply, &out.error);
    return out;
}

outcome put_text(const osscb_client *client, const char *key, const osscb_callback *callback) {
    return put(client, key, "Hello OSS", 9, callback, NULL, NULL);
}

bool succeeded(const outcome *outcome) {
    if (outcome->status != OSSCB_STATUS_OK) {
        test_fail("upload: %s: %s", osscb_status_name(outcome->status), osscb_error_message(outcome->error));
    }
    return outcome->status == OSSCB_STATUS_OK;
}

outcome upload(const osscb_client *client, const char *key, osscb_source *source, const osscb_callback *callback,
               const osscb_upload_options *options, const osscb_cancel *cancel, osscb_progress_function progress,
               void *context) {
    outcome out = {OSSCB_STATUS_OK, NULL, NULL};
    out.status = osscb_upload_file_with_callback(client, BUCKET, osscb_str_of(key), source, callback, options, cancel,
                                                 progress, context, &out.reply, &out.error);
    osscb_source_free(source);
    return out;
}

static outcome started(way way, const osscb_client *client, osscb_str key, osscb_source *source,
                       const osscb_callback *callback) {
    outcome out = {OSSCB_STATUS_BUG, NULL, NULL};
    osscb_completion end = {0, NULL, NULL, OSSCB_STATUS_BUG};
    size_t count = 0;
    osscb_completions *queue = osscb_completions_new();
    osscb_status status =
        way == BY_STARTED_PUT
            ? osscb_start_put_source_with_callback(client, BUCKET, key, source, callback, NULL, NULL, queue, 42,
                                                   &out.error)
            : osscb_start_upload_file_with_callback(client, BUCKET, key, source, callback, NULL, NULL, NULL, NULL,
                                                    queue, 42, &out.error);
    osscb_source_free(source);
    if (status == OSSCB_STATUS_OK) {
        CHECK(osscb_completions_wait(queue, &end, 1, 60000, &count, NULL) == OSSCB_STATUS_OK);
        CHECK(count == 1 && end.tag == 42);
        out.status = end.status;
        out.reply = end.reply;
        out.error = end.error;
    }
    osscb_completions_free(queue);
    return out;
}

outcome send_source(way way, const osscb_client *client, const char *key, osscb_source *source,
             const osscb_callback *callback) {
    outcome out = {OSSCB_STATUS_OK, NULL, NULL};
    switch (way) {
    case BY_PUT:
        out.status = osscb_put_source_with_callback(client, BUCKET, osscb_str_of(key), source, callback, NULL, NULL,
                                                    &out.reply, &out.error);
        osscb_source_free(source);
        return out;
    case BY_UPLOAD:
        return upload(client, key, source, callback, NULL, NULL, NULL, NULL);
    default:
        return started(way, client, osscb_str_of(key), source, callback);
    }
}

void release(outcome *outcome) {
    osscb_reply_free(outcome->reply);
    osscb_error_free(outcome->error);
    outcome->reply = NULL;
    outcome->error = NULL;
}

json *echo_of(const osscb_reply *reply) {
    osscb_bytes body = osscb_reply_body(reply);
    json *echo = json_parse((const char *)body.ptr, body.len);
    if (echo == NULL) {
        test_fail("the echo is not JSON: %s", osscb_reply_text(reply));
    }
    return echo;
}

json *json_in(const json *echo, const char *member) {
    const char *text = json_text(echo, member);
    json *inner = text == NULL ? NULL : json_parse(text, strlen(text));
    if (inner == NULL) {
        test_fail("`%s` is not JSON: %s", member, text == NULL ? "(null)" : text);
    }
    return inner;
}

static int connected(const char *url) {
    char host[64] = {0};
    int port = 0;
    struct sockaddr_in address;
    int stream = socket(AF_INET, SOCK_STREAM, 0);
    if (sscanf(url, "http://%63[^:/]:%d", host, &port) != 2) {
        test_fail("no address in %s", url);
    }
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_port = htons((unsigned short)port);
    inet_pton(AF_INET, host, &address.sin_addr);
    if (connect(stream, (struct sockaddr *)&address, sizeof address) != 0) {
        test_fail("cannot connect to %s", url);
    }
    return stream;
}

char *fetched(const char *base, const char *path) {
    size_t room = 64 * 1024;
    size_t len = 0;
    ssize_t got = 0;
    char *buffer = malloc(room);
    int stream = connected(base);
    int sent = buffer == NULL ? -1
                              : snprintf(buffer, room,
                                         "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n", path);
    if (sent < 0 || write(stream, buffer, (size_t)sent) != sent) {
        test_fail("cannot ask %s%s", base, path);
        exit(2);
    }
    /* Until the body is whole: not every server closes the connection then. */
    const char *body = NULL;
    const char *length = NULL;
    do {
        got = read(stream, buffer + len, room - 1 - len);
        len += got > 0 ? (size_t)got : 0;
        buffer[len] = '\0';
        body = strstr(buffer, "\r\n\r\n");
        length = strstr(buffer, "ength: ");
    } while (got > 0 && (body == NULL || length == NULL ||
                         buffer + len < body + 4 + strtoul(length + strlen("ength: "), NULL, 10)));
    close(stream);
    if (body == NULL) {
        test_fail("no answer from %s%s", base, path);
        *buffer = '\0';
        return buffer;
    }
    memmove(buffer, body + 4, strlen(body + 4) + 1);
    return buffer;
}

int callbacks_with(const char *text) {
    char path[512];
    snprintf(path, sizeof path, "/__count/%s", text);
    char *body = fetched(testbed("APP_URL"), path);
    int count = *body == '\0' ? -1 : atoi(body);
    free(body);
    return count;
}

long now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (long)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void sleep_ms(long ms) {
    struct timespec length = {ms / 1000, (ms % 1000) * 1000000};
    nanosleep(&length, NULL);
}

struct worker {
    pthread_t thread;
    void (*run)(void *);
    void *argument;
};

static void *run_worker(void *pointer) {
    worker *self = pointer;
    self->run(self->argument);
    return NULL;
}

worker *start(void (*run)(void *), void *argument) {
    worker *self = malloc(sizeof *self);
    if (self == NULL) {
        abort();
    }
    self->run = run;
    self->argument = argument;
    if (pthread_create(&self->thread, NULL, run_worker, self) != 0) {
        abort();
    }
    return self;
}

void finish(worker *worker) {
    pthread_join(worker->thread, NULL);
    free(worker);
}

int listening(int *port) {
    struct sockaddr_in address;
    socklen_t len = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) != 0 || listen(listener, 16) != 0 ||
        getsockname(listener, (struct sockaddr *)&address, &len) != 0) {
        abort();
    }
    *port = ntohs(address.sin_port);
    return listener;
}

/* Sockets stay open to the program's end: what matters is that the server does not read. */
static void *serve_hastily(void *pointer) {
    static const char answer[] = "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno";
    int listener = (int)(long)pointer;
    int stream = 0;
    while ((stream = accept(listener, NULL, NULL)) >= 0) {
        unsigned matched = 0;
        char byte = 0;
        while (matched < 4 && read(stream, &byte, 1) == 1) {
            matched = byte == "\r\n\r\n"[matched] ? matched + 1 : byte == '\r';
        }
        if (write(stream, answer, sizeof answer - 1) < 0) {
            close(stream);
        }
    }
    return NULL;
}

int hasty_server(void) {
    int port = 0;
    long listener = listening(&port);
    pthread_t thread;
    if (pthread_create(&thread, NULL, serve_hastily, (void *)listener) != 0) {
        abort();
    }
    pthread_detach(thread);
    return port;
}

int silent_server(void) {
    int port = 0;
    listening(&port);
    return port;
}

int64_t read_stream(void *context, uint8_t *buffer, size_t capacity, osscb_failure *failure) {
    stream *self = context;
    size_t end = self->failure != NULL && self->fail_at < self->size ? self->fail_at : self->size;
    size_t len = end - self->at;
    self->reads++;
    sleep_ms(self->pause_ms);
    if (len == 0 && self->failure != NULL) {
        osscb_failure_set(failure, osscb_str_of(self->failure));
        return self->answer;
    }
    if (len > capacity) {
        len = capacity;
    }
    if (self->step > 0 && len > self->step) {
        len = self->step;
    }
    for (size_t i = 0; i < len; i++) {
        buffer[i] = (uint8_t)((self->at + i) % 251);
    }
    self->at += len;
    return (int64_t)len;
}

void release_stream(void *context) { ((stream *)context)->released++; }

osscb_source *source_of(stream *stream, uint64_t length) {
    osscb_source *source = NULL;
    CHECK(osscb_source_of_function(read_stream, length, release_stream, stream, &source, NULL) == OSSCB_STATUS_OK);
    return source;
}

unsigned char *counting(size_t size) {
    unsigned char *data = malloc(size == 0 ? 1 : size);
    if (data == NULL) {
        abort();
    }
    for (size_t i = 0; i < size; i++) {
        data[i] = (unsigned char)(i % 251);
    }
    return data;
}

char *file_of(size_t size) {
    static const char pattern[] = "/tmp/oss-callback-test-XXXXXX";
    char *path = malloc(sizeof pattern);
    unsigned char *data = counting(size);
    if (path == NULL) {
        abort();
    }
    memcpy(path, pattern, sizeof pattern);
    int file = mkstemp(path);
    if (file < 0 || write(file, data, size) != (ssize_t)size) {
        test_fail("cannot write %s", path);
    }
    close(file);
    free(data);
    return path;
}

uint64_t crc64_of(const unsigned char *data, size_t len) {
    static uint64_t table[256];
    if (table[1] == 0) {
        for (unsigned i = 0; i < 256; i++) {
            uint64_t crc = i;
            for (int bit = 0; bit < 8; bit++) {
                crc = (crc >> 1) ^ ((crc & 1) ? UINT64_C(0xC96C5795D7870F42) : 0);
            }
            table[i] = crc;
        }
    }
    uint64_t crc = UINT64_MAX;
    for (size_t i = 0; i < len; i++) {
        crc = table[(crc ^ data[i]) & 0xff] ^ (crc >> 8);
    }
    return crc ^ UINT64_MAX;
}
