// SPDX-License-Identifier: GPL-2.0
/*
 * link_shim.c - the sockets of a pager.
 *
 * Requests are sent by whoever touches a missing page, which may happen in the middle of that
 * task's own send(2): so nothing here may use the page fragment of the task (sk_page_frag()),
 * which such a send is about to fill.
 */
#include <linux/file.h>
#include <linux/net.h>
#include <linux/skbuff.h>
#include <linux/slab.h>
#include <linux/tcp.h>
#include <net/inet_connection_sock.h>
#include <net/sock.h>
#include <net/tcp.h>
#include <net/tls.h>

#include "link.h"

struct corbel_link {
	struct socket *socket;
	bool plain;
	/* of corbel_link_attend(), under sk_callback_lock */
	int (*take)(void *argument, const void *from, u32 bytes);
	void (*ended)(void *argument);
	void *argument;
	void (*was_ready)(struct sock *sk);
	void (*was_changed)(struct sock *sk);
};

static bool corbel_has_tls(const struct sock *sk)
{
	const struct tcp_ulp_ops *ulp = inet_csk(sk)->icsk_ulp_ops;
	const struct tls_context *tls = inet_csk(sk)->icsk_ulp_data;

	return ulp && !strcmp(ulp->name, "tls") && tls && tls->tx_conf != TLS_BASE &&
	       tls->rx_conf != TLS_BASE;
}

int corbel_link_new(s32 fd, bool plain, struct corbel_link **made)
{
	struct corbel_link *link;
	struct socket *socket;
	struct sock *sk;
	int error;

	socket = sockfd_lookup(fd, &error);
	if (!socket)
		return error;
	sk = socket->sk;
	error = -EINVAL;
	if (!sk_is_tcp(sk) || READ_ONCE(sk->sk_state) != TCP_ESTABLISHED)
		goto put;
	error = -ENOKEY;
	lock_sock(sk);
	if (!corbel_has_tls(sk) && !plain) {
		release_sock(sk);
		goto put;
	}
	plain = !inet_csk(sk)->icsk_ulp_ops;
	sk->sk_allocation = GFP_NOFS;
	sk->sk_use_task_frag = false;
	release_sock(sk);
	tcp_sock_set_nodelay(sk);
	link = kzalloc(sizeof(*link), GFP_KERNEL_ACCOUNT);
	error = -ENOMEM;
	if (!link)
		goto put;
	link->socket = socket;
	link->plain = plain;
	*made = link;
	return 0;
put:
	sockfd_put(socket);
	return error;
}

void corbel_link_free(struct corbel_link *link)
{
	if (!link)
		return;
	sockfd_put(link->socket);
	kfree(link);
}

bool corbel_link_same(const struct corbel_link *a, const struct corbel_link *b)
{
	return a->socket == b->socket;
}

bool corbel_link_is_plain(const struct corbel_link *link)
{
	return link->plain;
}

void corbel_link_shut(struct corbel_link *link)
{
	kernel_sock_shutdown(link->socket, SHUT_RDWR);
}

s64 corbel_link_send(struct corbel_link *link, struct corbel_part *parts, u32 count, bool wait)
{
	struct msghdr message = {.msg_flags = MSG_NOSIGNAL | (wait ? 0 : MSG_DONTWAIT)};
	size_t bytes = 0;
	int done;
	u32 i;

	BUILD_BUG_ON(sizeof(struct corbel_part) != sizeof(struct kvec));
	for (i = 0; i < count; i++)
		bytes += parts[i].bytes;
	done = kernel_sendmsg(link->socket, &message, (struct kvec *)parts, count, bytes);
	if (done == -EAGAIN && !wait)
		return 0;
	/* Without a time-out that is the socket's own (SO_SNDTIMEO): the connection is stuck. */
	return done == -EAGAIN ? -ETIMEDOUT : done;
}

s64 corbel_link_receive(struct corbel_link *link, void *to, u32 bytes)
{
	struct msghdr message = {.msg_flags = MSG_NOSIGNAL};
	struct kvec part = {.iov_base = to, .iov_len = bytes};
	const int done = kernel_recvmsg(link->socket, &message, &part, 1, bytes, 0);

	return done == -EAGAIN ? -ETIMEDOUT : done;
}

/* ---- in softirqs --------------------------------------------------------------------- */

static int corbel_take_skb(read_descriptor_t *description, struct sk_buff *skb, unsigned int offset,
			   size_t bytes)
{
	const struct corbel_link *link = description->arg.data;
	struct skb_seq_state state;
	const u8 *from;
	size_t done = 0;
	unsigned int here;

	/* tcp_read_sock() may come back with what follows. */
	if (description->error)
		return description->error;
	skb_prepare_seq_read(skb, offset, offset + bytes, &state);
	while ((here = skb_seq_read(done, &from, &state)) != 0) {
		const int error = link->take(link->argument, from, here);

		if (error) {
			skb_abort_seq_read(&state);
			description->error = error;
			return done ? (int)done : error;
		}
		done += here;
	}
	return (int)done;
}

/* sk_callback_lock is held for reading. */
static void corbel_take(struct corbel_link *link, struct sock *sk)
{
	read_descriptor_t description = {.arg.data = link, .count = 1};

	if (tcp_read_sock(sk, &description, corbel_take_skb) < 0 || description.error)
		link->ended(link->argument);
}

static void corbel_ready(struct sock *sk)
{
	struct corbel_link *link;

	read_lock_bh(&sk->sk_callback_lock);
	link = sk->sk_user_data;
	if (link)
		corbel_take(link, sk);
	read_unlock_bh(&sk->sk_callback_lock);
}

static void corbel_changed(struct sock *sk)
{
	struct corbel_link *link;

	read_lock_bh(&sk->sk_callback_lock);
	link = sk->sk_user_data;
	if (link && sk->sk_state != TCP_ESTABLISHED)
		link->ended(link->argument);
	read_unlock_bh(&sk->sk_callback_lock);
}

void corbel_link_attend(struct corbel_link *link, int (*take)(void *, const void *from, u32 bytes),
			void (*ended)(void *), void *argument)
{
	struct sock *sk = link->socket->sk;

	link->take = take;
	link->ended = ended;
	link->argument = argument;
	lock_sock(sk);
	write_lock_bh(&sk->sk_callback_lock);
	link->was_ready = sk->sk_data_ready;
	link->was_changed = sk->sk_state_change;
	sk->sk_user_data = link;
	sk->sk_data_ready = corbel_ready;
	sk->sk_state_change = corbel_changed;
	write_unlock_bh(&sk->sk_callback_lock);
	/* What came before. */
	local_bh_disable();
	corbel_ready(sk);
	corbel_changed(sk);
	local_bh_enable();
	release_sock(sk);
}

void corbel_link_ignore(struct corbel_link *link)
{
	struct sock *sk = link->socket->sk;

	lock_sock(sk);
	write_lock_bh(&sk->sk_callback_lock);
	if (sk->sk_user_data == link) {
		sk->sk_user_data = NULL;
		sk->sk_data_ready = link->was_ready;
		sk->sk_state_change = link->was_changed;
	}
	write_unlock_bh(&sk->sk_callback_lock);
	release_sock(sk);
}
