// SPDX-License-Identifier: GPL-2.0-or-later
#include "journal.hh"

#include <libcorbel/device.hh>
#include <libcorbel/ioctl_table.hh>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>

#include <fmt/format.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace corbel::vmm {

namespace {

constexpr std::uint64_t log_entries = 4 * most_in_chunk;
/* So much of a recording is unpacked ahead: who goes from place to place needs little of it. */
constexpr std::uint64_t at_once = most_in_chunk / 4;
/* What is recorded reaches the file at the latest so much after it happened. */
constexpr std::chrono::milliseconds oldest{200};

GuestTime host_clock()
{
	timespec now{};

	::clock_gettime(CLOCK_MONOTONIC, &now);
	return static_cast<GuestTime>(now.tv_sec) * second + static_cast<GuestTime>(now.tv_nsec);
}

std::uint64_t entries_of(std::uint64_t bytes)
{
	return (bytes + sizeof(corbel_replay_entry) - 1) / sizeof(corbel_replay_entry);
}

std::uint32_t module_mode(Mode mode)
{
	switch (mode) {
	case Mode::record:
		return CORBEL_REPLAY_RECORD;
	case Mode::replay:
		return CORBEL_REPLAY_REPLAY;
	default:
		return CORBEL_REPLAY_CLOCK;
	}
}

} /* namespace */

std::string_view name_of(Kind kind)
{
	switch (kind) {
	case Kind::tsc:
		return "RDTSC";
	case Kind::exit:
		return "exit";
	case Kind::time:
		return "time";
	case Kind::data:
		return "data";
	case Kind::interrupt:
		return "interrupt";
	case Kind::check:
		return "checkpoint";
	case Kind::end:
		return "end";
	case Kind::disk:
		return "request of the disk";
	case Kind::sent:
		return "frame that is sent";
	case Kind::landmark:
		return "landmark";
	}
	return "entry of an unknown kind";
}

/* Over all entries since the last exit, which may be in the log no more. */
struct Journal::Chain {
	XXH3_state_t state;

	Chain() { XXH3_64bits_reset(&state); }
};

/* ---- set up ------------------------------------------------------------------------ */

Journal::Journal(const Settings &settings, std::optional<ChunkReader> reader)
	: mode_(settings.mode),
	  reader_(reader),
	  chain_(new Chain, [](Chain *chain) { delete chain; })
{}

Result<std::unique_ptr<Journal>> Journal::create(const Settings &settings,
						 std::optional<ChunkReader> reader)
{
	std::unique_ptr<Journal> journal(new Journal(settings, reader));

	CORBEL_EXPECT(journal->map_area(settings.vcpu_fd));
	auto &area = *journal->area_;

	area.shift = settings.shift;
	area.head = 0;
	area.end = settings.mode == Mode::replay ? 0 : journal->room_;
	area.base = host_clock();
	area.last = 0;
	area.deadline = never;
	area.mode = module_mode(settings.mode);
	journal->written_out_ = std::chrono::steady_clock::now();
	return journal;
}

Result<void> Journal::map_area(int vcpu_fd)
{
	if (vcpu_fd < 0) {
		own_area_ = std::make_unique<corbel_replay_area>();
		own_log_ = std::make_unique_for_overwrite<corbel_replay_entry[]>(log_entries);
		area_ = own_area_.get();
		log_ = own_log_.get();
		room_ = log_entries;
		return {};
	}
	auto device = CORBEL_EXPECT(Device::open());
	auto [fd, bytes] = CORBEL_EXPECT(device.enrol_vcpu(vcpu_fd, log_entries));

	recorder_ = std::move(fd);
	mapping_ = CORBEL_EXPECT(Mapping::writable(recorder_.get(), 0, bytes));
	area_ = static_cast<corbel_replay_area *>(mapping_->data());
	log_ = reinterpret_cast<corbel_replay_entry *>(static_cast<std::byte *>(mapping_->data()) +
						       area_->log_offset);
	room_ = area_->entries;
	return {};
}

/* ---- time -------------------------------------------------------------------------- */

GuestTime Journal::clock() const
{
	return std::max((host_clock() - area_->base) >> area_->shift, area_->last + 1);
}

/* Of what is longer than an hour, an hour: who sleeps looks again. */
std::chrono::nanoseconds Journal::host_time(GuestTime span) const
{
	return std::chrono::nanoseconds(std::min(span, 3600 * second >> area_->shift)
					<< area_->shift);
}

void Journal::warp(GuestTime span)
{
	area_->base -= span << area_->shift;
}

Result<GuestTime> Journal::time()
{
	if (mode_ != Mode::replay) {
		area_->last = clock();
		if (mode_ == Mode::record)
			CORBEL_EXPECT(append(make_entry(Kind::time, 0, 0, area_->last)));
		return area_->last;
	}
	const auto entry = CORBEL_EXPECT(peek());

	if (kind_of(entry) != Kind::time || entry.value <= area_->last || entry.value == never)
		return std::unexpected(difference("the time was to come"));
	area_->last = entry.value;
	area_->head++;
	return entry.value;
}

/* ---- the stream -------------------------------------------------------------------- */

Result<void> Journal::append(const corbel_replay_entry &entry)
{
	if (area_->head >= room_)
		CORBEL_EXPECT(write_out(true));
	log_[area_->head++] = entry;
	return {};
}

Result<corbel_replay_entry> Journal::peek()
{
	if (area_->head >= filled_)
		CORBEL_EXPECT(refill());
	return log_[area_->head];
}

Result<corbel_replay_entry> Journal::next()
{
	const auto entry = CORBEL_EXPECT(peek());

	area_->head++;
	return entry;
}

Result<void> Journal::skip()
{
	CORBEL_EXPECT(next());
	return {};
}

void Journal::absorb()
{
	const auto end = std::min<std::uint64_t>(area_->head, room_);

	if (absorbed_ < end)
		XXH3_64bits_update(&chain_->state, log_ + absorbed_,
				   (end - absorbed_) * sizeof(*log_));
	absorbed_ = end;
}

std::uint32_t Journal::take_chain()
{
	absorb();
	const auto digest = XXH3_64bits_digest(&chain_->state);

	XXH3_64bits_reset(&chain_->state);
	return static_cast<std::uint32_t>(digest);
}

Result<void> Journal::exit(const Exit &exit)
{
	exits_++;
	if (mode_ == Mode::plain)
		return {};
	const auto before = take_chain();
	const auto entry = make_entry(Kind::exit, exit.reason, exit.rip,
				      std::uint64_t{exit.digest} << 32 | before);

	if (mode_ == Mode::record) {
		CORBEL_EXPECT(append(entry));
		absorbed_ = area_->head;
		since_ = entries();
		return {};
	}
	const auto recorded = CORBEL_EXPECT(peek());

	if (kind_of(recorded) != Kind::exit || info_of(recorded) != exit.reason)
		return std::unexpected(
			difference(fmt::format("the guest left for reason {:#x}", exit.reason)));
	if (rip_of(recorded) != exit.rip)
		return std::unexpected(difference(
			fmt::format("the guest left at another instruction, {:#x}", exit.rip)));
	if (recorded.value >> 32 != exit.digest)
		return std::unexpected(difference(
			fmt::format("the guest left at {:#x} with other registers", exit.rip)));
	if (static_cast<std::uint32_t>(recorded.value) != before)
		return std::unexpected(difference(fmt::format(
			"the entries before the exit at {:#x} are not those recorded", exit.rip)));
	area_->head++;
	absorbed_ = area_->head;
	since_ = entries();
	return {};
}

Result<void> Journal::agree(Kind kind, std::uint8_t info, std::uint64_t value,
			    std::string_view what)
{
	const auto entry = make_entry(kind, info, 0, value);

	if (mode_ == Mode::plain)
		return {};
	if (mode_ == Mode::record)
		return append(entry);
	const auto recorded = CORBEL_EXPECT(peek());

	if (recorded.tag != entry.tag || recorded.value != value)
		return std::unexpected(difference(fmt::format("{} {:#x} with {:#x} comes: {}",
							      name_of(kind), info, value, what)));
	area_->head++;
	return {};
}

Result<void> Journal::end(std::uint8_t how, std::uint32_t value)
{
	const auto before = take_chain();

	return agree(Kind::end, how, std::uint64_t{value} << 32 | before, "the end");
}

Result<void> Journal::give(Kind kind, std::uint8_t info, std::uint64_t rip, std::string_view bytes)
{
	if (mode_ != Mode::record)
		return {};
	CORBEL_EXPECT(append(make_entry(kind, info, rip, bytes.size())));
	while (!bytes.empty()) {
		corbel_replay_entry piece{};
		const auto size = std::min(bytes.size(), sizeof(piece));

		std::memcpy(&piece, bytes.data(), size);
		CORBEL_EXPECT(append(piece));
		bytes.remove_prefix(size);
	}
	return {};
}

Result<std::string> Journal::take(Kind kind, std::size_t limit)
{
	const auto head = CORBEL_EXPECT(peek());
	std::string bytes;

	if (kind_of(head) != kind || head.value > limit)
		return std::unexpected(difference(
			fmt::format("{} was to come, of at most {} bytes", name_of(kind), limit)));
	area_->head++;
	for (auto left = entries_of(head.value); left > 0; left--) {
		const auto piece = CORBEL_EXPECT(next());

		bytes.append(reinterpret_cast<const char *>(&piece), sizeof(piece));
	}
	bytes.resize(head.value);
	return bytes;
}

/* ---- places ------------------------------------------------------------------------ */

Journal::Position Journal::position()
{
	absorb();
	return {exits_,	     entries(),	 since_, XXH3_64bits_digest(&chain_->state),
		area_->last, tsc_reads()};
}

Result<void> Journal::pass_to(std::uint64_t entry)
{
	while (entries() < entry) {
		CORBEL_EXPECT(peek());
		area_->head += std::min<std::uint64_t>(filled_ - area_->head, entry - entries());
	}
	return {};
}

Result<void> Journal::seek(const Position &position)
{
	gone_ = CORBEL_EXPECT(reader_->seek(position.since));
	area_->head = area_->end = absorbed_ = filled_ = 0;
	ended_ = complete_ = false;
	exits_ = position.exits;
	CORBEL_EXPECT(pass_to(position.since));
	absorbed_ = area_->head;
	since_ = position.since;
	XXH3_64bits_reset(&chain_->state);
	CORBEL_EXPECT(pass_to(position.entry));
	area_->last = position.last;
	tsc_before_ = position.tsc_reads - area_->nr_tsc;
	return {};
}

/* ---- the file ---------------------------------------------------------------------- */

/*
 * What is left moves to the front, and chunks follow it. While more are to come, the module is
 * shown all but the last of them, and the end of what it sees is not in front of something that
 * happened between exits: it tells of that when it takes the entry before.
 */
Result<void> Journal::refill()
{
	absorb();
	const auto left = filled_ - std::min<std::uint64_t>(area_->head, filled_);

	std::memmove(log_, log_ + area_->head, left * sizeof(*log_));
	gone_ += area_->head;
	area_->head = absorbed_ = 0;
	filled_ = left;
	while (!ended_ && filled_ + most_in_chunk <= room_ &&
	       (filled_ == left || filled_ < at_once)) {
		const auto chunk = CORBEL_EXPECT(reader_->next());

		if (!chunk) {
			ended_ = true;
			break;
		}
		std::ranges::copy(*chunk, log_ + filled_);
		filled_ += chunk->size();
		complete_ = kind_of(chunk->back()) == Kind::end;
	}
	area_->end = filled_;
	while (!ended_ && area_->end > 0) {
		area_->end--;
		if (kind_of(log_[area_->end]) < Kind::landmark)
			break;
	}
	if (filled_ == 0 && complete_)
		return std::unexpected(difference("the guest goes on"));
	if (filled_ == 0)
		return failure(at_end, fmt::format("The recording ends after exit {}.", exits_));
	return {};
}

Result<void> Journal::prepare()
{
	if (mode_ == Mode::replay && area_->head >= area_->end && !ended_)
		CORBEL_EXPECT(refill());
	if (mode_ == Mode::record && area_->head >= room_)
		CORBEL_EXPECT(write_out(true));
	return {};
}

Result<void> Journal::write_out(bool old)
{
	if (mode_ != Mode::record || area_->head == 0)
		return {};
	if (!old && area_->head < most_in_chunk / 2 &&
	    std::chrono::steady_clock::now() - written_out_ < oldest)
		return {};
	absorb();
	for (std::uint64_t at = 0; at < std::min<std::uint64_t>(area_->head, room_);
	     at += most_in_chunk) {
		const auto count = std::min<std::uint64_t>(
			std::min<std::uint64_t>(area_->head, room_) - at, most_in_chunk);

		CORBEL_EXPECT(writer_->push(Entries(log_ + at, log_ + at + count)));
	}
	gone_ += area_->head;
	area_->head = absorbed_ = 0;
	written_out_ = std::chrono::steady_clock::now();
	return {};
}

Result<void> Journal::finish()
{
	if (mode_ != Mode::record)
		return {};
	CORBEL_EXPECT(write_out(true));
	return writer_->finish();
}

Error Journal::difference(std::string_view what) const
{
	std::string recorded = "nothing";

	if (area_->head < filled_) {
		const auto &entry = log_[area_->head];

		recorded = fmt::format("{} {:#x} at {:#x}, value {:#x}", name_of(kind_of(entry)),
				       info_of(entry), rip_of(entry), entry.value);
	}
	return {diverged, fmt::format("The replay differs from the recording at exit {}, entry {}, "
				      "{:.9f} s of guest time: {}; what was recorded is {}.",
				      exits_, entries(), static_cast<double>(area_->last) / 1e9,
				      what, recorded)};
}

} /* namespace corbel::vmm */
