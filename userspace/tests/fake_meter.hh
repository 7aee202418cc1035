/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fake_meter.hh - a device-mapper whose devices are under QoS: what is told and answered is as
 * documented, ranges are in the module's own map, no I/O ever comes.
 */
#pragma once

#include "../qos/ranges.hh"
#include "../volumes/mapper.hh"

#include "../../kmod/block/qos/interval_map.hh"

#include <map>
#include <optional>

namespace corbel::test {

class FakeMeter final : public volumes::Mapper {
public:
	struct Object {
		bool histograms = false;
		std::optional<std::uint64_t> budget;
		std::string counters = "0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0";
	};
	struct Device {
		volumes::Mapped mapped;
		volumes::Table table;
		std::map<std::uint64_t, Object> objects{{0, {true, {}}}};
		std::map<std::uint64_t, std::string> budgets; /* their settings */
		std::unique_ptr<qos::IntervalMap> map = std::make_unique<qos::IntervalMap>();
		std::optional<unsigned> shift;
	};

	Result<std::vector<volumes::Mapped>> list() override;
	Result<void> create(const std::string &name, const std::string &uuid,
			    const volumes::Table &table) override;
	Result<void> reload(const std::string &name, const volumes::Table &table) override;
	Result<void> remove(const std::string &name) override;
	Result<std::string> message(const std::string &name, const std::string &text) override;
	Result<std::string> status(const std::string &name) override;

	[[nodiscard]] Device &at(const std::string &name) { return devices_.at(name); }
	[[nodiscard]] bool has(const std::string &name) const { return devices_.contains(name); }
	/* What is whose, in sectors. */
	[[nodiscard]] workloads::Spans spans(const std::string &name, std::uint64_t object);
	/* Those told that begin so. */
	[[nodiscard]] std::size_t told(std::string_view prefix) const;

	std::vector<std::string> messages;
	std::string cells; /* answer behind the shift and the number of cells */
	/* Fails once: the message that begins so. */
	std::string fails;

private:
	[[nodiscard]] Result<std::string> tell(Device &device, const std::string &text);

	std::map<std::string, Device> devices_;
};

} /* namespace corbel::test */
