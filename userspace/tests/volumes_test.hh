/* SPDX-License-Identifier: GPL-2.0-or-later */
/* volumes_test.hh - pools on files, over a device-mapper in this process. */
#pragma once

#include "fake_mapper.hh"
#include "result.hh"
#include "schema_check.hh"
#include "temporary_folder.hh"

#include "../corbel/verb.hh"
#include "../jobs/engine.hh"
#include "../state/sqlite_store.hh"
#include "../volumes/evacuation.hh"
#include "../volumes/volumes.hh"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>

namespace corbel::test {

using namespace corbel::volumes;
using namespace std::chrono_literals;

inline constexpr std::uint64_t MiB = 1 << 20;

class VolumesTest : public testing::Test {
protected:
	VolumesTest()
	{
		for (const char *name : {"meta", "a", "b", "c", "other"})
			make_file(name);
	}
	~VolumesTest() override { engine.reset(); }

	[[nodiscard]] std::string path(const std::string &name) const
	{
		return folder.path() / name;
	}
	/* 16 MiB of zeros: 240 blocks of data. */
	void make_file(const std::string &name) const
	{
		folder.write(name, "");
		std::filesystem::resize_file(path(name), 16 * MiB);
	}
	[[nodiscard]] std::string bytes(const std::string &name) const
	{
		std::ifstream in(path(name), std::ios::binary);

		return {std::istreambuf_iterator<char>(in), {}};
	}
	[[nodiscard]] PoolWish wish(bool force = false) const
	{
		return {"vms",
			path("meta"),
			{{path("a"), "fast"}, {path("b"), "slow"}},
			65536,
			force};
	}
	void create() { (void)must(pools->create(wish(), false)); }
	static VolumeName name(const std::string &text) { return must(pool::parse_volume(text)); }
	void make_volume(const std::string &text, bool active = false)
	{
		(void)must(volumes().create(name(text), 4 * MiB, active, false));
	}
	Volumes volumes() { return Volumes(*pools); }
	std::uint64_t id_of(const std::string &text)
	{
		for (const char *key : {"volumes", "snapshots"}) {
			const auto all = must(volumes().list("vms", key[0] == 's'));
			for (const auto &each : all.at(key))
				if (each["name"] == text)
					return each["id"];
		}
		throw std::runtime_error("no " + text);
	}
	/* As after the end of this host: nothing but what is on disks. */
	void reboot()
	{
		engine.reset();
		mapper = std::make_unique<FakeMapper>();
		pools = std::make_unique<Pools>(*store, *mapper);
	}
	std::vector<std::string> start_all()
	{
		std::vector<std::string> warnings;

		pools->start_all(
			[&](const std::string &sentence) { warnings.push_back(sentence); });
		return warnings;
	}
	jobs::Job run(const char *kind, const std::string &device, std::uint64_t keep = 0)
	{
		const auto id = submit(kind, device, keep);

		return must(engine->wait(id, 30s));
	}
	jobs::JobId submit(const char *kind, const std::string &device, std::uint64_t keep = 0)
	{
		if (!engine)
			engine = must(jobs::Engine::start(*store, evacuation_jobs(*pools),
							  {.lease = 1s}));
		return must(engine->submit(kind, must(evacuation_of(*pools, "vms", device, keep))))
			.id;
	}

	TemporaryFolder folder;
	std::unique_ptr<state::Store> store = must(
		state::open_sqlite_store(must(state::options_for(folder.path() / "state.sqlite"))));
	std::unique_ptr<FakeMapper> mapper = std::make_unique<FakeMapper>();
	std::unique_ptr<Pools> pools = std::make_unique<Pools>(*store, *mapper);
	std::unique_ptr<jobs::Engine> engine;
};

inline std::string fault_in(const cli::Verb &verb, const Json &answer)
{
	return find_fault(cli::dump(verb.schema()), cli::dump(answer));
}

} /* namespace corbel::test */
