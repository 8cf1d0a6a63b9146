// SPDX-License-Identifier: Apache-2.0
#include "common/store/replication.h"

#include "tests/support/test.h"

// As Redis 7.0 says it.
static const char master[] =
    "# Replication\r\nrole:master\r\nconnected_slaves:3\r\n"
    "slave0:ip=127.0.0.1,port=7002,state=online,offset=1400,lag=0\r\n"
    "slave1:ip=::1,port=7003,state=online,offset=1386,lag=3\r\n"
    "slave2:ip=10.0.0.9,port=7004,state=wait_bgsave,offset=0,lag=0\r\n"
    "master_failover_state:no-failover\r\nmaster_replid:8a8b\r\nmaster_replid2:0000\r\n"
    "master_repl_offset:1400\r\nsecond_repl_offset:-1\r\nrepl_backlog_active:1\r\n";

static void a_master_and_its_replicas(void **state)
{
    struct replication r;
    (void)state;
    assert_true(replication_parse(slice_of(master), &r));
    assert_true(r.master);
    assert_int_equal(r.offset, 1400);
    assert_int_equal(r.replicas, 3);
    assert_int_equal(r.good, 1); // one lags, one is not online yet
    assert_int_equal(replication_holders(slice_of(master), 1386), 2);
    assert_int_equal(replication_holders(slice_of(master), 1387), 1);
    assert_int_equal(replication_holders(slice_of(master), 0), 2); // online ones
}

static void a_replica(void **state)
{
    struct replication r;
    (void)state;
    assert_true(replication_parse(
        SLICE_LIT("role:slave\r\nmaster_host:127.0.0.1\r\nslave_read_only:1\r\n"), &r));
    assert_false(r.master);
    assert_int_equal(r.replicas, 0);
}

static void what_it_is_not(void **state)
{
    static const char *const none[] = {
        "", "PONG", "# Server\r\nredis_version:7.0.15\r\n", "slave0:state=online,lag=0", "role",
    };
    struct replication r = {.offset = 7};
    (void)state;
    for (size_t i = 0; i < CM_ARRAY_LEN(none); i++) {
        bool found = replication_parse(slice_of(none[i]), &r);
        assert_true(found == (i == 4)); // "role" alone: of no value, so not a master's
        if (!found)
            assert_int_equal(r.offset, 7);
        else
            assert_false(r.master);
    }
}

static void odd_replicas_are_bad_ones(void **state)
{
    static const char *const odd[] = {
        "role:master\nslave0:\n",
        "role:master\nslave0:state=online\n",
        "role:master\nslave0:state=online,lag=-1\n",
        "role:master\nslave0:lag=0,offset=9\n",
        "role:master\nslave0:state=onlinex,lag=0,offset=9\n",
        "role:master\nslave0:state=online,lag=99999999999999999999,offset=0\n",
    };
    struct replication r;
    (void)state;
    for (size_t i = 0; i < CM_ARRAY_LEN(odd); i++) {
        assert_true(replication_parse(slice_of(odd[i]), &r));
        assert_int_equal(r.replicas, 1);
        assert_int_equal(r.good, 0);
        assert_int_equal(replication_holders(slice_of(odd[i]), 1), 0);
    }
    // No replica's line at all.
    assert_true(replication_parse(SLICE_LIT("role:master\nslaves:1\nslavex:state=online,lag=0\n"
                                            "slave:state=online,lag=0\n"),
                                  &r));
    assert_int_equal(r.replicas, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_master_and_its_replicas),
        cmocka_unit_test(a_replica),
        cmocka_unit_test(what_it_is_not),
        cmocka_unit_test(odd_replicas_are_bad_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
