// SPDX-License-Identifier: GPL-2.0-or-later
#include "player.hh"

#include <algorithm>
#include <cerrno>

#include <fmt/format.h>

namespace corbel::vmm {

namespace {

/* A string instruction may leave once more for each of its elements. */
constexpr unsigned most_settling = 1 << 16;

} /* namespace */

/* ---- a recording ------------------------------------------------------------------- */

Result<std::unique_ptr<Source>> Source::open(const Options &options)
{
	auto source = std::make_unique<Source>();
	source->file = CORBEL_EXPECT(read_recording(options.recording));
	source->reader = CORBEL_EXPECT(ChunkReader::open(source->file));
	auto header = CORBEL_EXPECT(decode_header(source->reader->header()));
	const auto machine = CORBEL_EXPECT(Machine::create(header.memory));

	source->parts = CORBEL_EXPECT(recorded_guest(options, std::move(header), machine));
	return source;
}

CheckpointsOf Source::checkpoints() const
{
	return {reader->identity(), parts.header.memory,
		parts.header.disk ? parts.header.disk->bytes : 0, 0};
}

/* ---- set up ------------------------------------------------------------------------ */

Player::Player(Machine machine, std::unique_ptr<Journal> journal, std::unique_ptr<Kicker> kicker,
	       Backends backends, const Board &board, const CheckpointFile *file,
	       Monitor::Settings settings)
	: machine_(std::move(machine)),
	  journal_(std::move(journal)),
	  kicker_(std::move(kicker)),
	  input_(ScopedFd(), [] {}),
	  backends_(std::move(backends)),
	  monitor_(machine_, *journal_, *kicker_, input_, backends_, board, std::move(settings)),
	  file_(file)
{}

Result<std::unique_ptr<Player>> Player::create(const Source &source, const CheckpointFile *file,
					       Monitor::Settings settings)
{
	const auto &header = source.parts.header;
	auto machine = CORBEL_EXPECT(Machine::create(header.memory));

	CORBEL_EXPECT(start_guest(source.parts, machine));
	auto journal = CORBEL_EXPECT(Journal::create(
		{Mode::replay, header.shift, header.module ? machine.vcpu_fd() : -1},
		source.reader));
	auto kicker = CORBEL_EXPECT(Kicker::create(machine.area()));
	Board board(header.began);
	Backends backends;

	if (source.parts.backends.disk)
		backends.disk.emplace(CORBEL_EXPECT(source.parts.backends.disk->disk().another()));
	backends.add_packet_devices(header.mac, header.cid);
	backends.plug_into(board);
	std::unique_ptr<Player> player(new Player(std::move(machine), std::move(journal),
						  std::move(kicker), std::move(backends), board,
						  file, std::move(settings)));

	CORBEL_EXPECT(player->settle());
	player->origin_ = CORBEL_EXPECT(player->state());
	for (const auto page : CORBEL_EXPECT(player->take_changed_pages()))
		player->origin_pages_[page] = std::string(
			reinterpret_cast<const char *>(player->machine_.memory().base()) +
				page * page_bytes,
			page_bytes);
	return player;
}

void Player::stop()
{
	monitor_.stop();
	kicker_->kick();
}

/* ---- the state --------------------------------------------------------------------- */

Result<Checkpoint> Player::state()
{
	Checkpoint checkpoint;

	checkpoint.position = journal_->position();
	checkpoint.monitor = monitor_.state();
	checkpoint.vcpu = CORBEL_EXPECT(machine_.state());
	checkpoint.msrs = CORBEL_EXPECT(machine_.other_msrs());
	for (const auto &device : monitor_.devices())
		checkpoint.devices.push_back(
			{std::string(device.name),
			 std::string(reinterpret_cast<const char *>(device.bytes.data()),
				     device.bytes.size())});
	return checkpoint;
}

Result<std::vector<std::uint64_t>> Player::take_changed_pages()
{
	CORBEL_EXPECT(machine_.gather_written());
	auto pages = changed_pages();

	forget_changed();
	return pages;
}

std::vector<std::uint64_t> Player::changed_pages()
{
	auto pages = machine_.memory().changed_pages();

	if (backends_.disk)
		for (const auto block : backends_.disk->disk().overlay().changed())
			pages.push_back(machine_.memory().pages() + block);
	return pages;
}

void Player::forget_changed()
{
	machine_.memory().forget_changed();
	if (backends_.disk)
		backends_.disk->disk().overlay().forget_changed();
}

std::optional<std::uint64_t> Player::block_of(std::uint64_t page) const
{
	const auto behind = machine_.memory().pages();

	return page < behind ? std::nullopt : std::optional(page - behind);
}

GuestMemory::ConstPage Player::page(std::uint64_t number)
{
	static_assert(Overlay::block_bytes == page_bytes);

	if (const auto block = block_of(number))
		return *backends_.disk->disk().overlay().find(*block);
	return GuestMemory::ConstPage(machine_.memory().base() + number * page_bytes, page_bytes);
}

/* What the guest wrote is known already. */
std::vector<std::uint64_t> Player::pages_unlike(std::optional<std::size_t> checkpoint)
{
	auto pages = changed_pages();

	if (!file_)
		return pages;
	for (const auto page : file_->changing_pages())
		if (version_at(restored_, page) != version_at(checkpoint, page))
			pages.push_back(page);
	return pages;
}

const PageVersion *Player::version_at(std::optional<std::size_t> checkpoint,
				      std::uint64_t page) const
{
	return checkpoint ? file_->version(*checkpoint, page) : nullptr;
}

Result<void> Player::load_block(const PageVersion *version, std::uint64_t block)
{
	auto &overlay = backends_.disk->disk().overlay();

	if (version)
		return file_->load(*version, std::span(overlay.at(block)));
	overlay.remove(block);
	return {};
}

Result<void> Player::load_page(const PageVersion *version, std::uint64_t page)
{
	if (const auto block = block_of(page))
		return load_block(version, *block);
	const auto bytes = machine_.memory().writable(page * page_bytes, page_bytes);

	if (version)
		return file_->load(*version, bytes.first<page_bytes>());
	const auto origin = origin_pages_.find(page);

	if (origin == origin_pages_.end())
		std::ranges::fill(bytes, std::byte{0});
	else
		std::ranges::copy(std::as_bytes(std::span(origin->second)), bytes.begin());
	return {};
}

std::uint64_t Player::digest_of(const PageVersion *version, std::uint64_t page) const
{
	static constexpr std::byte zeros[page_bytes] = {};

	if (version)
		return version->digest;
	const auto origin = origin_pages_.find(page);

	return page_digest(origin == origin_pages_.end()
				   ? GuestMemory::ConstPage(zeros)
				   : std::as_bytes(std::span(origin->second)).first<page_bytes>());
}

bool Player::is_like(const PageVersion *version, std::uint64_t number)
{
	const auto block = block_of(number);
	const bool written = !block || backends_.disk->disk().overlay().find(*block);

	if (block && !(version && written))
		return !version && !written;
	return page_digest(page(number)) == digest_of(version, number);
}

/* ---- places ------------------------------------------------------------------------ */

/* What is left of the last exit, which is not to be done to the state that is put back. */
Result<void> Player::settle()
{
	for (unsigned i = 0; i < most_settling; i++)
		if (CORBEL_EXPECT(machine_.settle()) == Stop::interrupted)
			return {};
	return failure(EIO, "The guest's last instruction does not end.");
}

Result<void> Player::restore(std::optional<std::size_t> checkpoint)
{
	const auto &to = checkpoint ? file_->at(*checkpoint) : origin_;
	auto devices = monitor_.devices();

	goes_on_ = false;
	if (!std::ranges::equal(to.devices, devices, [](const auto &saved, const auto &device) {
		    return saved.name == device.name && saved.bytes.size() == device.bytes.size();
	    }))
		return failure(EPROTO,
			       "The checkpoints have other devices than this corbel-vmm, so "
			       "another version of it made them. `corbel-vmm checkpoints` "
			       "makes them anew.");
	CORBEL_EXPECT(settle());
	CORBEL_EXPECT(machine_.forget_translations());
	for (const auto page : pages_unlike(checkpoint))
		CORBEL_EXPECT(load_page(version_at(checkpoint, page), page));
	forget_changed();
	restored_ = checkpoint;
	CORBEL_EXPECT(machine_.set_state(to.vcpu));
	CORBEL_EXPECT(machine_.set_other_msrs(to.msrs));
	monitor_.set_state(to.monitor);
	for (std::size_t i = 0; i < devices.size(); i++)
		std::ranges::copy(std::as_bytes(std::span(to.devices[i].bytes)),
				  devices[i].bytes.begin());
	CORBEL_EXPECT(journal_->seek(to.position));
	goes_on_ = true;
	return {};
}

Player::Start Player::start_for(std::uint64_t exit)
{
	const auto checkpoint = file_ ? file_->nearest(exit) : std::nullopt;
	const auto from = checkpoint ? file_->at(*checkpoint).position.exits : 0;
	const auto here = journal_->exits();

	if (goes_on_ && here >= from && here <= exit)
		return {true, std::nullopt, here};
	return {false, checkpoint, from};
}

Result<Ending> Player::play(std::uint64_t exit)
{
	monitor_.go_to(exit);
	goes_on_ = false;
	const auto ending = CORBEL_EXPECT(monitor_.run());

	goes_on_ = ending == Ending::position;
	return ending;
}

Result<std::string> Player::difference_at(std::size_t checkpoint)
{
	const auto here = CORBEL_EXPECT(state());
	auto difference = difference_of(file_->at(checkpoint), here);

	if (!difference.empty())
		return difference;
	CORBEL_EXPECT(machine_.gather_written());
	for (const auto page : pages_unlike(checkpoint)) {
		const auto block = block_of(page);

		if (!is_like(version_at(checkpoint, page), page))
			return block ? fmt::format("byte {} of the disk", *block * page_bytes)
				     : fmt::format("page {} of memory", page);
	}
	forget_changed();
	restored_ = checkpoint;
	return std::string();
}

} /* namespace corbel::vmm */
