/* SPDX-License-Identifier: BSD-2-Clause */
#include "wrap.h"

#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <arpa/inet.h>

#include "listen.h"

static int
option(int fd, int level, int name)
{
	int value = 0;
	socklen_t len = sizeof(value);

	assert_int_equal(getsockopt(fd, level, name, &value, &len), 0);
	return (value);
}

/* Without TCP_NODELAY, a reply waits for the acknowledgement of the last. */
static void
test_accepted_connections_inherit_options(void **state)
{
	struct sockaddr_in addr = {
	    .sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t len = sizeof(addr);
	int listener = socket(AF_INET, SOCK_STREAM, 0), accepted;
	int client = socket(AF_INET, SOCK_STREAM, 0);

	(void)state;
	need_loopback();
	listen_set_options(listener, LISTEN_TCP);
	assert_int_equal(bind(listener, (void *)&addr, len), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (void *)&addr, &len), 0);
	assert_int_equal(connect(client, (void *)&addr, len), 0);
	accepted = accept(listener, NULL, NULL);
	assert_int_equal(option(client, IPPROTO_TCP, TCP_NODELAY), 0);
	assert_int_not_equal(option(accepted, IPPROTO_TCP, TCP_NODELAY), 0);
	assert_int_not_equal(option(accepted, IPPROTO_IP, IP_PKTINFO), 0);
	close(accepted);
	close(client);
	close(listener);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_accepted_connections_inherit_options),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
