/* SPDX-License-Identifier: BSD-2-Clause */
/* Listeners of this test, whose clock, loop and connections are replaced. */
#include "wrap.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "accept.h"
#include "closer.h"
#include "daemon.h"
#include "log.h"
#include "loop.h"
#include "peer.h"
#include "stream.h"
#include "transport.h"

enum {
	PER_ITERATION = 16,
	PAUSE_MS = 1000,
	ROOM_PAUSE_MS = 20,
	RETRY_MS = 1000
};

struct counters counters;

static int64_t now;
static struct {
	loop_fn *on_connection; /* NULL: it is not watched */
	void *listener;
} watched[64];
static int opened, closed, stored, listening, tries;
static bool over_budget, has_room, is_allowed, is_missing, is_free;
static uid_t uid;
static int last_error;

/* Clients of the second and third can pass descriptors. */
static int listeners[3] = {-1, -1, -1};
static struct sockaddr_un addrs[3];
static socklen_t addr_lens[3];

/* What accept.c calls. */

int64_t
loop_now(void)
{
	return (now);
}

bool
loop_over_budget(void)
{
	return (over_budget);
}

void
loop_share(int fd)
{
	(void)fd;
}

void
loop_watch(int fd, loop_fn *on_read, loop_fn *on_write, void *arg)
{
	assert_null(on_write);
	watched[fd].on_connection = on_read;
	watched[fd].listener = arg;
}

void
stream_reset_on_close(int fd)
{
	(void)fd;
}

void
stream_open(int fd, const struct peer *peer, bool may_pass)
{
	(void)peer;
	(void)may_pass;
	opened++;
	close(fd);
}

void
daemon_store_fd(int fd)
{
	(void)fd;
	stored++;
}

void
peer_identify_local(int fd, struct peer *peer)
{
	(void)fd;
	peer->origin = ORIGIN_LOCAL;
	peer->uid = uid;
}

bool
peer_identify_tcp(int fd, struct peer *peer)
{
	(void)fd;
	peer->origin = ORIGIN_NETWORK;
	return (false);
}

bool
transport_allows(
    const struct addrfilt *acl, const struct peer *peer, bool from_here)
{
	(void)acl;
	(void)peer;
	return (from_here || is_allowed);
}

bool
closer_has_room(void)
{
	return (has_room);
}

bool
listen_is_missing(void)
{
	return (is_missing);
}

bool
listen_retry(struct listen_socket *s)
{
	tries++;
	is_missing = !is_free;
	*s = (struct listen_socket){.fd = listeners[1], .kind = LISTEN_UNIX};
	return (is_free);
}

void
log_listening(void)
{
	listening++;
}

void
log_error(const char *what, int error)
{
	(void)what;
	last_error = error;
}

/* Return a listener at an abstract name that the kernel chooses. */
static int
listen_somewhere(void)
{
	const struct sockaddr_un any = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

	if (bind(fd, (const void *)&any, sizeof(any.sun_family)) == -1 ||
	    listen(fd, 64) == -1)
		return (-1);
	return (fd);
}

static int
setup_listeners(void **state)
{
	(void)state;
	for (size_t i = 0; i < LENGTH(listeners); i++) {
		listeners[i] = listen_somewhere();
		addr_lens[i] = sizeof(addrs[i]);
		if (getsockname(
			listeners[i], (void *)&addrs[i], &addr_lens[i]) == -1)
			return (-1);
	}
	for (size_t i = 0; i < LENGTH(listeners); i++)
		accept_start(&(struct listen_socket){.fd = listeners[i],
				 .kind = i == 0 ? LISTEN_TCP : LISTEN_UNIX,
				 .may_pass = i > 0},
		    NULL);
	return (0);
}

static int
setup(void **state)
{
	(void)state;
	opened = closed = stored = listening = tries = last_error = 0;
	over_budget = is_missing = is_free = false;
	has_room = is_allowed = true;
	uid = UID_ROOT;
	return (0);
}

static bool
is_watched(size_t i)
{
	return (watched[listeners[i]].on_connection != NULL);
}

/* Connect to a listener, and end that at once.  Return false if it fails. */
static bool
connects_to(size_t i)
{
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	bool connected = connect(fd, (void *)&addrs[i], addr_lens[i]) == 0;

	close(fd);
	return (connected);
}

static void
connect_to(size_t i, int n)
{
	while (n-- > 0)
		assert_true(connects_to(i));
}

/* An iteration of the loop in which this listener is readable. */
static void
serve(size_t i)
{
	int fd = listeners[i];

	assert_true(is_watched(i));
	watched[fd].on_connection(watched[fd].listener);
}

static void
test_16_connections_in_an_iteration(void **state)
{
	(void)state;
	connect_to(0, PER_ITERATION + 3);
	serve(0);
	assert_int_equal(opened, PER_ITERATION);
	serve(0);
	assert_int_equal(opened, PER_ITERATION + 3);
	serve(0); /* EAGAIN: another process may have accepted it */
	assert_int_equal(last_error, 0);
	assert_true(is_watched(0));
	/* fewer over budget */
	over_budget = true;
	connect_to(0, 2);
	serve(0);
	assert_int_equal(opened, PER_ITERATION + 4);
	serve(0);
	assert_int_equal(opened, PER_ITERATION + 5);
}

static void
test_whom_the_filter_denies(void **state)
{
	(void)state;
	is_allowed = false;
	connect_to(0, 2);
	serve(0);
	assert_int_equal(opened, 0);
	connect_to(1, 1); /* the local socket has no filter */
	serve(1);
	assert_int_equal(opened, 1);
}

static void
test_the_service_manager_keeps_what_root_opens(void **state)
{
	(void)state;
	connect_to(1, 1);
	serve(1);
	assert_int_equal(stored, 1);
	uid = 1000;
	connect_to(1, 1);
	serve(1);
	uid = UID_ROOT;
	connect_to(0, 1);
	serve(0);
	assert_int_equal(stored, 1);
	assert_int_equal(opened, 3);
}

/* All listeners, because they remain readable. */
static void
check_pause(int error)
{
	assert_int_equal(last_error, error);
	assert_int_equal(opened, 0);
	assert_false(is_watched(0));
	assert_false(is_watched(1));
	assert_int_equal(accept_tick(now), now + PAUSE_MS);
	assert_int_equal(accept_tick(now + PAUSE_MS - 1), now + PAUSE_MS);
	assert_false(is_watched(0));
	now += PAUSE_MS;
	assert_int_equal(accept_tick(now), INT64_MAX);
	assert_true(is_watched(0));
	assert_true(is_watched(1));
}

static void
test_a_pause_for_lack_of_descriptors_or_memory(void **state)
{
	static const int errors[] = {EMFILE, ENFILE, ENOBUFS, ENOMEM};

	(void)state;
	connect_to(0, 1);
	for (size_t i = 0; i < LENGTH(errors); i++) {
		wrap_fail_once("accept4", errors[i]);
		serve(0);
		check_pause(errors[i]);
	}
	serve(0);
	assert_int_equal(opened, 1);
}

/* Other errors concern one connection, unless they persist. */
static void
test_a_pause_after_16_errors_in_a_row(void **state)
{
	(void)state;
	connect_to(0, 1);
	wrap_fail("accept4", 1, ECONNABORTED);
	serve(0);
	check_pause(ECONNABORTED);
	wrap_reset();
	for (int i = 0; i < 2 * PER_ITERATION; i++) {
		assert_int_equal(opened, i);
		wrap_fail_once("accept4", ECONNABORTED);
		serve(0);
		wrap_reset();
		assert_true(is_watched(0));
		connect_to(0, 1);
	}
	serve(0);
}

/* A listener without passed descriptors needs no room. */
static void
test_a_pause_without_room_to_close(void **state)
{
	(void)state;
	has_room = false;
	connect_to(0, 1);
	connect_to(1, 1);
	serve(1);
	assert_int_equal(last_error, EBUSY);
	assert_int_equal(opened, 0);
	assert_false(is_watched(1));
	serve(0);
	assert_int_equal(opened, 1);
	assert_int_equal(accept_tick(now), now + ROOM_PAUSE_MS);
	assert_false(is_watched(1));
	now += ROOM_PAUSE_MS;
	assert_int_equal(accept_tick(now), INT64_MAX);
	serve(1); /* there is still none */
	assert_int_equal(opened, 1);
	has_room = true;
	now += ROOM_PAUSE_MS;
	accept_tick(now);
	serve(1);
	assert_int_equal(opened, 2);
}

/* The loop wakes up for it once a second, and not more often. */
static void
test_the_abstract_name_is_tried_once_a_second(void **state)
{
	int64_t began = now, next;
	int wakeups = 0;

	(void)state;
	is_missing = true;
	while (now < began + 10 * RETRY_MS) {
		next = accept_tick(now);
		wakeups++;
		assert_int_equal(tries, wakeups);
		/* other events do not make it try earlier */
		assert_int_equal(accept_tick(now), next);
		assert_int_equal(accept_tick(next - 1), next);
		assert_int_equal(tries, wakeups);
		assert_int_equal(next, now + RETRY_MS);
		now = next;
	}
	assert_int_equal(wakeups, 10);
	assert_int_equal(listening, 0);
	is_free = true;
	assert_int_equal(accept_tick(now), INT64_MAX);
	assert_int_equal(listening, 1);
	assert_int_equal(accept_tick(now + RETRY_MS), INT64_MAX);
	assert_int_equal(tries, 11);
	connect_to(1, 1);
	serve(1);
	assert_int_equal(opened, 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, wrap_teardown)
	    T(test_16_connections_in_an_iteration),
	    T(test_whom_the_filter_denies),
	    T(test_the_service_manager_keeps_what_root_opens),
	    T(test_a_pause_for_lack_of_descriptors_or_memory),
	    T(test_a_pause_after_16_errors_in_a_row),
	    T(test_a_pause_without_room_to_close),
	    T(test_the_abstract_name_is_tried_once_a_second),
	};

	return (cmocka_run_group_tests(tests, setup_listeners, NULL));
}
