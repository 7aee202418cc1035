/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * interleaving.hh - tries every order in which threads can make their accesses.
 *
 * Code that takes its atomics as a policy runs here on ModelAtomics. A thread is a
 * program of operations; each access of an operation to a cell is one step. The
 * explorer takes every step of every thread in every reachable state, once: states
 * that were seen are not gone into again, so loops end and the answer is complete.
 *
 * To run a thread up to its next access without a stack of its own, its operation
 * is called from the start each time, its earlier accesses get the values they got
 * before (the tape), one new access is made, and the next one leaves by exception.
 * So an operation must be a function of the values it reads and of its registers,
 * which are kept between operations and restored for each call.
 *
 * Memory is that of x86: a plain store goes into the thread's store buffer and
 * becomes visible later, in order, at any time; locked operations wait until the
 * buffer is empty. (Atomic<T>'s orders ask the hardware for nothing more on x86.)
 *
 * Mutation: the write at one place of the source is left out. A proof that holds
 * without a step does not prove that the step is needed.
 */
#pragma once

#include "rt/atomic.hh"

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <source_location>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

namespace corbel::unit {

using Cell = unsigned;

/* A place in the source that accesses a cell. */
struct Site {
	const char *file; /* one pointer for each file: a literal of the compiler's */
	unsigned line, column;
	Cell cell;

	auto operator<=>(const Site &) const = default;
};

/* Local state of a thread that outlives an operation; what it means is its own. */
using Registers = std::array<std::int16_t, 24>;

struct Program {
	std::string name;
	/*
	 * Runs operation @pc and returns the next one, or `finished`. Between two
	 * operations the thread can be interrupted like between two accesses.
	 */
	std::function<int(int pc, Registers &registers)> run;
	/*
	 * Whether operation @pc is a loop that carries nothing from one round to the
	 * next: each time it comes back to its first access, it starts anew.
	 */
	std::function<bool(int pc)> is_loop = [](int) { return false; };
	/* Whether the thread has nothing under way when it is about to run @pc. */
	std::function<bool(int pc)> is_idle = [](int) { return true; };
};
inline constexpr int finished = -1;

/* A reachable state, as invariants see it. */
class Snapshot {
public:
	struct Thread {
		int pc = 0;
		Registers registers{};
		std::vector<std::uint64_t> tape;
		Site first{}; /* access of the operation under way */
		std::vector<std::pair<Cell, std::uint64_t>> stores; /* the buffer, oldest first */
	};

	std::uint64_t cell(Cell cell) const { return memory[cell]; }
	bool between_operations(std::size_t thread) const
	{
		return threads[thread].tape.empty() && threads[thread].stores.empty();
	}

	std::vector<std::uint64_t> memory;
	std::vector<Thread> threads;
};

/* The cells, and what the running thread may do; one is current while exploring. */
class Machine {
public:
	enum class Kind { load, store, update };

	/* What ends the call of an operation before its end. */
	struct Suspended {}; /* at the access after the new one */
	struct Blocked {}; /* a locked access, and the store buffer is not empty */
	struct Spinning {}; /* waits for a change: the access is taken back */
	struct Looping {}; /* back at the first access */

	Machine() { current_ = this; }
	~Machine() { current_ = nullptr; }
	Machine(const Machine &) = delete;
	static Machine &current() { return *current_; }

	Cell add_cell(std::uint64_t initial)
	{
		initial_.push_back(initial);
		names_.push_back("cell " + std::to_string(initial_.size() - 1));
		return static_cast<Cell>(initial_.size() - 1);
	}
	void name_cell(Cell cell, std::string name) { names_[cell] = std::move(name); }
	void set_initial(Cell cell, std::uint64_t value) { initial_[cell] = value; }

	/*
	 * One access. @update: the new value for an old one, or nothing if the cell
	 * stays as it is. Returns the old value; a plain store has none.
	 */
	template <typename Update>
	std::uint64_t access(Kind kind, Cell cell, const std::source_location &where,
			     const Update &update)
	{
		if (position_ < thread_->tape.size())
			return thread_->tape[position_++];

		const Site site{where.file_name(), where.line(), where.column(), cell};
		if (performed_ && loops_ && site == thread_->first)
			throw Looping{};
		if (performed_)
			throw Suspended{};
		if (kind == Kind::update && !thread_->stores.empty())
			throw Blocked{};

		const std::uint64_t old = kind == Kind::store ? 0 : visible(cell);
		std::optional<std::uint64_t> written = update(old);
		if (kind != Kind::load && collecting)
			written_sites.insert(site);
		if (mutated && site == *mutated)
			written.reset();
		if (written && kind == Kind::store)
			thread_->stores.emplace_back(cell, *written);
		else if (written)
			state_->memory[cell] = *written;
		if (thread_->tape.empty())
			thread_->first = site;
		performed_ = true;
		position_++;
		thread_->tape.push_back(old);
		describe(kind, site, old, written);
		return old;
	}

	void spin()
	{
		if (performed_ && position_ == thread_->tape.size())
			throw Spinning{};
	}

	/*
	 * Makes one step of a thread in @state. False: it can make none now. @pc of the
	 * thread becomes `finished` after its last operation.
	 */
	bool step(Snapshot &state, const Program &program, Snapshot::Thread &thread)
	{
		Registers registers = thread.registers;

		state_ = &state;
		thread_ = &thread;
		position_ = 0;
		performed_ = false;
		loops_ = program.is_loop(thread.pc);
		if (describing)
			last_step = "(no access)";
		try {
			const int next = program.run(thread.pc, registers);
			thread.pc = next;
			thread.registers = registers;
			thread.tape.clear();
		} catch (Looping) {
			thread.registers = registers;
			thread.tape.clear();
		} catch (Suspended) {
		} catch (Blocked) {
			return false;
		} catch (Spinning) {
			return false;
		}
		if (describing)
			last_step = program.name + ": " + last_step;
		return true;
	}

	/* The oldest store of the buffer reaches memory. */
	void flush(Snapshot &state, Snapshot::Thread &thread)
	{
		const auto [cell, value] = thread.stores.front();

		thread.stores.erase(thread.stores.begin());
		state.memory[cell] = value;
		if (describing)
			last_step = "(" + names_[cell] + " becomes visible)";
	}

	const std::vector<std::uint64_t> &initial() const { return initial_; }

	const std::string &name_of(Cell cell) const { return names_[cell]; }

	bool collecting = false;
	std::set<Site> written_sites; /* all places that write, if collecting */
	std::optional<Site> mutated; /* a place whose write is left out */
	bool describing = false;
	std::string last_step; /* in words, if describing */

private:
	std::uint64_t visible(Cell cell) const
	{
		for (auto store = thread_->stores.rbegin(); store != thread_->stores.rend();
		     ++store)
			if (store->first == cell)
				return store->second;
		return state_->memory[cell];
	}

	void describe(Kind kind, const Site &site, std::uint64_t old,
		      std::optional<std::uint64_t> written)
	{
		if (!describing)
			return;
		char text[200];
		std::snprintf(text, sizeof(text), "%s:%u %s %s: %llx -> %llx",
			      std::string_view(site.file)
				      .substr(std::string_view(site.file).rfind('/') + 1)
				      .data(),
			      site.line,
			      kind == Kind::load    ? "load"
			      : kind == Kind::store ? "store"
						    : "locked",
			      names_[site.cell].c_str(), static_cast<unsigned long long>(old),
			      static_cast<unsigned long long>(written.value_or(old)));
		last_step = text;
	}

	static inline Machine *current_ = nullptr;

	std::vector<std::uint64_t> initial_;
	std::vector<std::string> names_;
	Snapshot *state_ = nullptr;
	Snapshot::Thread *thread_ = nullptr;
	std::size_t position_ = 0;
	bool performed_ = false;
	bool loops_ = false;
};

/* The policy: as rt::HardwareAtomics, on cells of the current machine. */
struct ModelAtomics {
	template <typename T>
	class Atomic {
		using Order = rt::Order;
		using Where = std::source_location;
		using Kind = Machine::Kind;

	public:
		Atomic() : cell_(Machine::current().add_cell(0)) {}
		Atomic(const Atomic &) = delete;

		Cell cell() const { return cell_; }

		T load(Order, Where where = Where::current()) const
		{
			return static_cast<T>(
				Machine::current().access(Kind::load, cell_, where, [](auto) {
					return std::optional<std::uint64_t>();
				}));
		}
		/* A seq_cst store would be a locked instruction. */
		void store(T value, Order order, Where where = Where::current())
		{
			update(order == Order::seq_cst ? Kind::update : Kind::store, where,
			       [=](T) { return value; });
		}
		T exchange(T value, Order, Where where = Where::current())
		{
			return update(Kind::update, where, [=](T) { return value; });
		}
		T fetch_add(T value, Order, Where where = Where::current())
		{
			return update(Kind::update, where, [=](T old) { return old + value; });
		}
		T fetch_sub(T value, Order, Where where = Where::current())
		{
			return update(Kind::update, where, [=](T old) { return old - value; });
		}
		T fetch_or(T value, Order, Where where = Where::current())
		{
			return update(Kind::update, where, [=](T old) { return old | value; });
		}
		T fetch_and(T value, Order, Where where = Where::current())
		{
			return update(Kind::update, where, [=](T old) { return old & value; });
		}
		bool compare_exchange(T &expected, T desired, Order, Where where = Where::current())
		{
			const T old = static_cast<T>(Machine::current().access(
				Kind::update, cell_, where, [=](std::uint64_t seen) {
					return static_cast<T>(seen) == expected
						       ? std::optional<std::uint64_t>(desired)
						       : std::nullopt;
				}));
			const bool same = old == expected;

			expected = old;
			return same;
		}

	private:
		template <typename Change>
		T update(Kind kind, const Where &where, const Change &change)
		{
			return static_cast<T>(Machine::current().access(
				kind, cell_, where, [&](std::uint64_t old) {
					return std::optional<std::uint64_t>(
						static_cast<T>(change(static_cast<T>(old))));
				}));
		}

		Cell cell_;
	};

	static void cpu_relax() { Machine::current().spin(); }
};

struct Exploration {
	std::uint64_t states = 0;
	std::uint64_t quiet_states = 0;
	bool complete = false; /* every reachable state was visited */
	/* What was wrong, and a shortest way there; empty if nothing was. */
	std::string violation;
	std::vector<std::string> trace;
};

/* Each check says what is wrong, or nothing. */
struct Checks {
	std::function<std::string(const Snapshot &)> always;
	std::function<std::string(const Snapshot &)> when_quiet; /* all threads are idle */
};

/* Every reachable state of @programs over the machine's cells, or @most of them. */
Exploration explore(Machine &machine, const std::vector<Program> &programs, const Checks &checks,
		    std::uint64_t most = 20'000'000);

} // namespace corbel::unit
