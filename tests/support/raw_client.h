// SPDX-License-Identifier: Apache-2.0
// A client that says exactly the bytes it is told and shows exactly what comes
// back, while it turns the loop of the server under test.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

#include "common/base/buf.h"

struct raw_client {
    uv_loop_t *loop;
    int fd;
    struct buf in; // received and not yet taken
    bool ended;    // the server has said that it is done
    bool reset;    // or cut the connection
    bool held;     // what is sent is kept in out
    struct buf out;
};

// One response, cut out of what was received. Slices live until the next call.
struct raw_response {
    int status;
    struct slice head, body;
};

// Connects to the address of that listening socket (on the loopback interface).
void raw_connect(struct raw_client *c, uv_loop_t *loop, int listener);
void raw_close(struct raw_client *c);
// Sends all of it, turning the loop while the peer does not read.
void raw_send(struct raw_client *c, struct slice bytes);
void raw_send_str(struct raw_client *c, const char *text);
// What is sent between them goes in one piece.
void raw_hold(struct raw_client *c);
void raw_release(struct raw_client *c);
// Takes what has arrived, without waiting.
void raw_poll(struct raw_client *c);
// Waits for a whole response; no_body for one that ends with its head (HEAD,
// 204, 304). Fails the test when none comes within five seconds.
struct raw_response raw_read(struct raw_client *c, bool no_body);
// Waits for the end of the connection.
void raw_read_end(struct raw_client *c);
// The value of a header (lower-case name), ptr NULL when absent.
struct slice raw_header(const struct raw_response *r, const char *name);
