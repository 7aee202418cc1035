/* SPDX-License-Identifier: GPL-2.0 */
/*
 * server.hh - the end of a transfer that has the pages.
 *
 * One thread answers what is demanded, one pushes the rest, and one hears what the other end
 * says on the push stream. A page is taken from the plan by whoever sends it, so each goes
 * over the wire once.
 */
#pragma once

#include "pager.hh"
#include "push_plan.hh"

namespace corbel::postcopy {

class Server final : public Pager {
public:
	[[nodiscard]] static Result<Server *> make(Region &region, const corbel_pager_new &request);
	/* Task. */
	static void destroy(Server *server);

	/* CORBEL_PAGER_ROUND, CORBEL_PAGER_GO: pages. Task. */
	[[nodiscard]] Result<u64> round();
	/* @only_asked: CORBEL_PAGER_GO_ASKED. */
	[[nodiscard]] Result<u64> go(bool only_asked);

private:
	/* What comes on one stream. */
	class Inlet {
	public:
		Inlet(Server &owner, wire::Stream stream) : owner_(owner), stream_(stream) {}

		Result<void *> begin(const wire::Head &head);
		Result<void> end(const wire::Head &head);
		static u32 hash(const void *at, size_t bytes) { return postcopy::hash(at, bytes); }

		bool init()
		{
			map_ = static_cast<u64 *>(corbel_alloc_pages(wire::map_bytes));
			return map_;
		}
		~Inlet() { corbel_free_pages(map_); }

	private:
		Server &owner_;
		const wire::Stream stream_;
		u64 *map_ = nullptr;
		wire::Hello hello_{};
	};
	friend class Inlet;

	static constexpr u32 batch = 16;
	/* Of a compressed page: more is not worth the other end's work. */
	static constexpr u32 worth = wire::page_bytes / 4 * 3;
	static constexpr u32 room_of_one = wire::page_bytes + worth;
	/* What becomes of a round. */
	static constexpr u32 none = 0, wanted = 1, done = 2, failed = 3;

	/* Frames on their way into one link. */
	struct Outlet {
		wire::Head heads[batch];
		corbel_part parts[2 * batch];
		u32 nr_heads, nr_parts;
		u64 zeros, compressed;
	};

	Server(Region &region, u64 *words)
		: Pager(region, wire::Role::serve),
		  words_(words),
		  plan_(words, pages),
		  demand_inlet_(*this, wire::Stream::demand),
		  push_inlet_(*this, wire::Stream::push)
	{}
	~Server();

	[[nodiscard]] Result<void> start(const corbel_pager_new &request);
	/* False: the pager has ended. */
	[[nodiscard]] bool wait_for(bool (*ready)(const Server &));

	void push();
	[[nodiscard]] bool announce();
	static bool has_credit(const Server &server);
	static bool has_credit_or_is_interrupted(const Server &server);
	[[nodiscard]] bool wait_for_credit(u32 &most, bool (*ready)(const Server &));
	[[nodiscard]] bool push_run(u32 first, u32 count, u16 flags);
	void put_page(Outlet &out, u32 page, u16 flags, bool compress);
	[[nodiscard]] bool flush(corbel_link *link, Outlet &out);
	[[nodiscard]] Result<void> answer(u32 page, bool again);
	[[nodiscard]] Result<void> take_credit(const wire::Head &head);

	template <typename What>
	[[nodiscard]] Result<u64> alone(What what);
	[[nodiscard]] Result<u64> round_alone();
	[[nodiscard]] Result<u64> go_alone(bool only_asked);
	[[nodiscard]] Result<void> wait_until_told();
	[[nodiscard]] Result<u64> collect();
	[[nodiscard]] bool send_round(u64 &sent);

	u64 *words_; /* bits: to be sent at GO, or since then */
	PushPlan plan_;
	Inlet demand_inlet_, push_inlet_;
	corbel_thread *demand_thread_ = nullptr, *push_thread_ = nullptr, *hear_thread_ = nullptr;
	Outlet *demand_out_ = nullptr, *push_out_ = nullptr; /* of these threads */
	void *compressor_ = nullptr; /* of the push thread's, as what follows */
	/* For each frame of a batch a copy of its page, and that compressed. */
	u8 *room_ = nullptr;

	rt::Atomic<bool> told_{}; /* what the other end has */
	rt::Atomic<s64> credit_{}; /* frames that may be sent */
	rt::Atomic<bool> mark_answered_{};
	rt::Atomic<u32> round_{}; /* none, wanted, ... */
	rt::Atomic<bool> interrupted_{}; /* the round */
	rt::Atomic<bool> go_wanted_{};
	rt::Atomic<bool> only_asked_{}; /* the push thread waits until it is not set */
	rt::Atomic<bool> all_sent_{};

	/* Of whoever has set deciding_, and of the push thread while it is in a round. */
	rt::Atomic<bool> deciding_{};
	u64 *round_words_ = nullptr; /* bits: still to be sent in this round */
	u64 round_pages_ = 0;
	bool staged_any_ = false;
	bool holds_seal_ = false;
};

} /* namespace corbel::postcopy */
