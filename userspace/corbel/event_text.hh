/* SPDX-License-Identifier: GPL-2.0-or-later */
/* event_text.hh - records of an event ring as lines of JSON or CSV. */
#pragma once

#include <libcorbel/error.hh>

#include <corbel/irq.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace corbel::cli {

enum class EventFormat { json, csv };

class EventWriter {
public:
	EventWriter(EventFormat format, std::uint32_t tsc_khz) : format_(format), tsc_khz_(tsc_khz)
	{}

	/* The first line, for formats that have one. */
	void begin(std::string &to) const;

	/* One line. Times count from the first record written. */
	void append(std::string &to, const corbel_event &event);

private:
	void append_json(std::string &to, const corbel_event &event, std::uint64_t time_ns) const;
	void append_csv(std::string &to, const corbel_event &event, std::uint64_t time_ns) const;

	EventFormat format_;
	std::uint32_t tsc_khz_;
	bool first_ = true;
	std::uint64_t first_tsc_ = 0;
};

/* "accept,inject" as the mask of corbel_irq_ring.events. */
[[nodiscard]] Result<std::uint32_t> parse_events(std::string_view names);

/* Of CORBEL_EVENT_*; "unknown" for what this tool does not know. */
[[nodiscard]] std::string_view name_of_event(unsigned type);

inline constexpr const char *all_events = "accept,inject,drop,resync,vcpu";

} /* namespace corbel::cli */
