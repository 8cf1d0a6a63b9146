// SPDX-License-Identifier: Apache-2.0
// Joins the pure feed to Redis: two connections (where the Sentinels say, if there
// are any), a poll timer, acks.
//
// The feed is told that the link is up when the data connection is, whatever the
// subscription does: a bell that is lost meanwhile costs one poll interval. On
// each way up the order is: hello, then the feed's first read; so an admin counts
// this worker before the worker can have answered from anything.
//
// The feed never calls back into its owner's code that could call it again: its
// actions are forwarded, but "something has changed" is only noted. on_change
// runs when the feed has returned, and the ack leaves at the end of the turn of
// the loop, when everything that it tells of has been applied and shown.
//
// An ack is a promise that outlives a kill. So what was refused is told only when it
// is noted (is_noted): until then every ack, be it a hello or the one of each second,
// tells the position before it, and the one that is due waits. A disk that hangs is
// waited for NOTE_MS, once; then serving is worth more than what a kill might forget.
//
// Deadlines: 1,000 ms on both connections, not the 300 ms of the poll's scale. A
// Redis that forks, waits for its disk or runs a revision of 10,000 records
// (measured: 0.1 to 0.3 s) is silent that long without being gone, and a fleet
// that reconnects because of it makes it worse. Nobody waits for it: known keys
// are served by their lease, and requests that need Redis have their own clock.
//
// Closing: bye first, while nothing of the feed runs any more; its reply, or
// BYE_MS, ends the connections.
#include "common/store/feed_io.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/store/feed_read.h"
#include "common/store/key_read.h"
#include "common/store/redis.h"
#include "common/store/sentinel.h"

enum {
    CONNECT_TIMEOUT_MS = 300,
    REPLY_TIMEOUT_MS = 1000,
    ACK_MS = 1000,
    NOTE_MS = 1000,
    LOOP_LAG_MS = 10, // a timer may come so much too early by the real clock
    BYE_MS = 200,
    SPARE_COMMANDS = 64, // beside the fills: one read of the feed, acks, the beat
    OWN_HANDLES = 4,
    CONNECTIONS = 2, // and the Sentinels', as one part
};

struct feed_io {
    struct feed_io_options options;
    struct feed_actions actions; // the owner's
    struct feed *feed;
    struct sentinel *sentinel; // NULL without Sentinels
    struct redis *data, *bells;
    const char *channels[2];
    struct feed_read read;
    struct key_reads keys;
    uv_timer_t poll;
    uv_timer_t ack; // while closing: how long the bye may take
    uv_idle_t turn;
    uv_idle_t apply; // while a large answer is taken in, a slice a turn
    unsigned open_parts;
    bool has_just_read;
    bool changed, ack_is_due, acks_are_refused;
    struct feed_position told; // of which acks tell
    uint64_t unnoted_since_ms; // boot time; 0 = all is noted
    bool notes_hang;           // said in the log
    bool closing, ending;
    struct ack bye; // ours
    bool bye_is_heard;
    void (*on_closed)(void *ctx, const struct ack *unheard);
    void *closed_ctx;
    void (*on_said)(void *ctx, bool heard); // another's bye; NULL = none is under way
    void *said_ctx;
};

// --- acks

static void on_ack_time(uv_timer_t *timer);

static bool has_hung(struct feed_io *io)
{
    uint64_t now_ms = clock_boot_ms();
    if (io->unnoted_since_ms == 0) {
        io->unnoted_since_ms = now_ms;
        uv_timer_start(&io->ack, on_ack_time, NOTE_MS + LOOP_LAG_MS, ACK_MS);
    }
    if (now_ms - io->unnoted_since_ms < NOTE_MS)
        return false;
    if (!io->notes_hang)
        LOG_ERROR("state_write_slow", LOG_U64("waited_ms", now_ms - io->unnoted_since_ms));
    io->notes_hang = true;
    return true;
}

// False: acks do not tell yet of where the feed is.
static bool may_tell(struct feed_io *io)
{
    if (io->options.is_noted == NULL || io->options.is_noted(io->options.ctx)) {
        io->unnoted_since_ms = 0;
        io->notes_hang = false;
    } else if (!has_hung(io)) {
        return false;
    }
    io->told = feed_position(io->feed);
    return true;
}

static void describe(const struct feed_io *io, enum ack_kind kind, struct ack *out)
{
    uint64_t confirmed = feed_confirmed_at(io->feed);
    *out = (struct ack){0};
    io->options.describe(io->options.ctx, out);
    out->kind = kind;
    out->epoch = io->told.epoch;
    out->revision = io->told.revision;
    strcpy(out->state, feed_state_name(feed_state(io->feed)));
    strcpy(out->reason, feed_reason_name(feed_reason(io->feed)));
    out->from_disk = feed_is_from_disk(io->feed);
    out->sent_ms = clock_wall_ms();
    out->confirmed_ms = confirmed > 0 ? out->sent_ms - (int64_t)(clock_boot_ms() - confirmed) : 0;
}

// An ack that is refused is no reason to stop serving, but the admins' count of
// workers is then wrong: said once.
static void on_ack_reply(void *ctx, const struct redisReply *reply)
{
    struct feed_io *io = ctx;
    if (reply == NULL)
        return;
    if (reply_is_error(reply) && !io->acks_are_refused)
        LOG_WARN("ack_refused", LOG_STR("reason", reply_bytes(reply)));
    io->acks_are_refused = reply_is_error(reply);
}

static bool publish_ack(struct feed_io *io, const struct ack *ack, redis_on_reply on_reply)
{
    struct buf text = {0};
    ack_write(&text, ack);
    struct slice argv[] = {SLICE_LIT("PUBLISH"), slice_of(io->options.keyspace->ack),
                           buf_slice(&text)};
    bool sent = redis_command(io->data, CM_ARRAY_LEN(argv), argv, on_reply, io);
    buf_fini(&text);
    return sent;
}

static bool publish(struct feed_io *io, enum ack_kind kind, redis_on_reply on_reply)
{
    struct ack ack;
    (void)may_tell(io);
    describe(io, kind, &ack);
    return publish_ack(io, &ack, on_reply);
}

// PUBLISH answers how many have got it.
static bool is_heard(const struct redisReply *reply)
{
    int64_t receivers;
    return reply != NULL && reply_integer(reply, &receivers) && receivers > 0;
}

static void on_other_bye(void *ctx, const struct redisReply *reply)
{
    struct feed_io *io = ctx;
    void (*on_said)(void *, bool) = io->on_said;
    io->on_said = NULL;
    on_said(io->said_ctx, is_heard(reply));
}

bool feed_io_say_bye(struct feed_io *io, const struct ack *bye,
                     void (*on_said)(void *ctx, bool heard), void *ctx)
{
    CM_ASSERT(io->on_said == NULL && bye->kind == ACK_BYE);
    if (io->closing || !publish_ack(io, bye, on_other_bye))
        return false;
    io->on_said = on_said;
    io->said_ctx = ctx;
    return true;
}

static void on_ack_time(uv_timer_t *timer)
{
    struct feed_io *io = timer->data;
    (void)publish(io, ACK_STATE, on_ack_reply); // not connected: the hello will tell
}

// --- what the feed asks for

static void tell_change(struct feed_io *io)
{
    if (!io->changed || io->closing)
        return;
    io->changed = false;
    if (io->options.on_change != NULL)
        io->options.on_change(io->options.ctx);
}

// A head that only confirms is news too: somebody may wait for it.
static void after_read(void *ctx, bool was_head)
{
    struct feed_io *io = ctx;
    io->changed = io->changed || was_head;
    tell_change(io);
}

static void on_apply(uv_idle_t *apply)
{
    struct feed_io *io = apply->data;
    if (io->has_just_read) { // which took its time, too
        io->has_just_read = false;
        return;
    }
    if (feed_read_turn(&io->read))
        uv_idle_stop(apply);
}

static void on_begun(void *ctx)
{
    struct feed_io *io = ctx;
    io->has_just_read = true;
    uv_idle_start(&io->apply, on_apply);
}

static void on_turn(uv_idle_t *turn)
{
    struct feed_io *io = turn->data;
    uv_idle_stop(turn);
    tell_change(io);
    if (!io->ack_is_due || io->closing || !may_tell(io))
        return;
    (void)publish(io, ACK_STATE, on_ack_reply);
    io->ack_is_due = false;
}

// Not here: the caller is still at it.
void feed_io_noted(struct feed_io *io)
{
    if (io->ack_is_due && !io->closing)
        uv_idle_start(&io->turn, on_turn);
}

static void read_head(void *ctx)
{
    feed_read_head(&((struct feed_io *)ctx)->read);
}

static void read_log(void *ctx, uint64_t after, uint32_t part)
{
    feed_read_log(&((struct feed_io *)ctx)->read, after, part);
}

static void scan_models(void *ctx, bool restart)
{
    feed_read_scan(&((struct feed_io *)ctx)->read, restart);
}

static void report(void *ctx)
{
    struct feed_io *io = ctx;
    io->changed = io->ack_is_due = true;
    if (!io->closing)
        uv_idle_start(&io->turn, on_turn);
}

// The rest is the owner's.

static void put_model(void *ctx, bool staged, struct slice id, struct slice record)
{
    struct feed_io *io = ctx;
    io->actions.put_model(io->options.ctx, staged, id, record);
}

static void remove_model(void *ctx, bool staged, struct slice id)
{
    struct feed_io *io = ctx;
    io->actions.remove_model(io->options.ctx, staged, id);
}

static void stage_begin(void *ctx, bool copy)
{
    struct feed_io *io = ctx;
    io->actions.stage_begin(io->options.ctx, copy);
}

static void stage_drop(void *ctx)
{
    struct feed_io *io = ctx;
    io->actions.stage_drop(io->options.ctx);
}

static void stage_commit(void *ctx)
{
    struct feed_io *io = ctx;
    io->actions.stage_commit(io->options.ctx);
}

static void publish_catalog(void *ctx)
{
    struct feed_io *io = ctx;
    io->actions.publish(io->options.ctx);
}

static void key_changed(void *ctx, const struct secret_digest *key, bool deny, uint64_t revision)
{
    struct feed_io *io = ctx;
    io->actions.key_changed(io->options.ctx, key, deny, revision);
}

static void keys_unverified(void *ctx)
{
    struct feed_io *io = ctx;
    io->actions.keys_unverified(io->options.ctx);
}

static const struct feed_actions feed_actions = {
    .read_head = read_head,
    .read_log = read_log,
    .scan_models = scan_models,
    .put_model = put_model,
    .remove_model = remove_model,
    .stage_begin = stage_begin,
    .stage_drop = stage_drop,
    .stage_commit = stage_commit,
    .publish = publish_catalog,
    .key_changed = key_changed,
    .keys_unverified = keys_unverified,
    .report = report,
};

// --- what happens

static void on_data_link(void *ctx, bool up)
{
    struct feed_io *io = ctx;
    if (io->closing)
        return;
    if (up)
        (void)publish(io, ACK_HELLO, on_ack_reply);
    feed_on_link(io->feed, up);
    if (!up) {
        uv_idle_stop(&io->apply);
        feed_read_drop(&io->read);
    }
    io->changed = true;
    tell_change(io);
}

// What was said while nobody listened is asked for.
static void on_bell_link(void *ctx, bool up)
{
    struct feed_io *io = ctx;
    if (!up || io->closing)
        return;
    feed_confirm(io->feed);
    tell_change(io);
}

static void on_bell(void *ctx, struct slice channel, struct slice payload)
{
    struct feed_io *io = ctx;
    struct bell bell;
    (void)channel; // there is only the one
    if (io->closing || !bell_parse(payload, &bell))
        return;
    feed_on_bell(io->feed, &bell);
    tell_change(io);
}

static void start_poll(struct feed_io *io);

static void on_poll(uv_timer_t *timer)
{
    struct feed_io *io = timer->data;
    start_poll(io); // first: on_change may close
    feed_on_tick(io->feed);
    tell_change(io);
}

// poll_ms +-10 %, so that a fleet does not ask in step.
static void start_poll(struct feed_io *io)
{
    uint64_t random, tenth = io->options.poll_ms / 10;
    util_random(&random, sizeof(random));
    uint64_t wait = io->options.poll_ms - tenth + random % (2 * tenth + 1);
    uv_timer_start(&io->poll, on_poll, wait, 0);
}

// --- opening and closing

static void open_connections(struct feed_io *io, uv_loop_t *loop)
{
    struct redis_options options = {
        .url = io->options.url,
        .name = "cm-models-data",
        .connect_timeout_ms = CONNECT_TIMEOUT_MS,
        .reply_timeout_ms = REPLY_TIMEOUT_MS,
        .max_in_flight = KEY_READ_MAX * KEY_READ_COMMANDS + SPARE_COMMANDS,
        .on_link = on_data_link,
        .ctx = io,
    };
    io->data = redis_open(loop, &options);
    io->channels[0] = io->options.keyspace->bell;
    options.name = "cm-models-bell";
    options.channels = io->channels;
    options.on_message = on_bell;
    options.on_link = on_bell_link;
    io->bells = redis_open(loop, &options);
    if (io->options.url->sentinel_count == 0)
        return;
    io->sentinel = sentinel_open(loop, io->options.url, "cm-models-sentinel");
    sentinel_follow(io->sentinel, io->data);
    sentinel_follow(io->sentinel, io->bells);
}

struct feed_io *feed_io_open(uv_loop_t *loop, const struct feed_io_options *options)
{
    struct feed_io *io = xcalloc(1, sizeof(*io));
    io->options = *options;
    io->actions = *options->actions;
    io->feed = feed_create(&feed_actions, io, options->repair_wait_ms);
    open_connections(io, loop);
    io->read = (struct feed_read){.data = io->data,
                                  .sentinel = io->sentinel,
                                  .keyspace = options->keyspace,
                                  .feed = io->feed,
                                  .after = after_read,
                                  .begun = on_begun,
                                  .ctx = io};
    io->keys = (struct key_reads){.data = io->data, .keyspace = options->keyspace};
    uv_timer_init(loop, &io->poll);
    uv_timer_init(loop, &io->ack);
    uv_idle_init(loop, &io->turn);
    uv_idle_init(loop, &io->apply);
    io->poll.data = io->ack.data = io->turn.data = io->apply.data = io;
    io->open_parts = OWN_HANDLES + CONNECTIONS + (io->sentinel != NULL);
    start_poll(io);
    uv_timer_start(&io->ack, on_ack_time, ACK_MS, ACK_MS);
    return io;
}

static void on_part_closed(void *ctx)
{
    struct feed_io *io = ctx;
    if (--io->open_parts > 0)
        return;
    feed_destroy(io->feed);
    feed_read_drop(&io->read);
    if (io->on_closed != NULL)
        io->on_closed(io->closed_ctx, io->bye_is_heard ? NULL : &io->bye);
    free(io);
}

static void on_handle_closed(uv_handle_t *handle)
{
    on_part_closed(handle->data);
}

static void end(struct feed_io *io)
{
    if (io->ending)
        return;
    io->ending = true;
    if (io->sentinel != NULL)
        sentinel_close(io->sentinel, on_part_closed, io);
    redis_close(io->data, on_part_closed, io);
    redis_close(io->bells, on_part_closed, io);
    uv_close((uv_handle_t *)&io->poll, on_handle_closed);
    uv_close((uv_handle_t *)&io->ack, on_handle_closed);
    uv_close((uv_handle_t *)&io->turn, on_handle_closed);
    uv_close((uv_handle_t *)&io->apply, on_handle_closed);
}

static void on_bye_reply(void *ctx, const struct redisReply *reply)
{
    struct feed_io *io = ctx;
    io->bye_is_heard = is_heard(reply);
    end(io);
}

static void on_bye_time(uv_timer_t *timer)
{
    end(timer->data);
}

void feed_io_close(struct feed_io *io, void (*on_closed)(void *ctx, const struct ack *unheard),
                   void *ctx)
{
    CM_ASSERT(!io->closing);
    io->closing = io->read.closed = true;
    io->on_closed = on_closed;
    io->closed_ctx = ctx;
    uv_timer_stop(&io->poll);
    uv_idle_stop(&io->turn);
    uv_idle_stop(&io->apply);
    (void)may_tell(io);
    describe(io, ACK_BYE, &io->bye);
    if (publish_ack(io, &io->bye, on_bye_reply))
        uv_timer_start(&io->ack, on_bye_time, BYE_MS, 0);
    else
        end(io);
}

struct feed *feed_io_feed(struct feed_io *io)
{
    return io->feed;
}

bool feed_io_is_up(const struct feed_io *io)
{
    return redis_is_up(io->data);
}

bool feed_io_read_key(struct feed_io *io, const struct secret_digest *digest,
                      void (*on_read)(void *ctx, const struct key_read *result), void *ctx)
{
    return !io->closing && key_read_start(&io->keys, digest, on_read, ctx);
}
