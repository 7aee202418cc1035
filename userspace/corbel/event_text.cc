// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * event_text.cc - written by hand rather than through a JSON tree: a busy guest
 * makes a hundred thousand records a second, and a slow reader loses some. Every
 * value is a number or a word of ours, so nothing needs escaping.
 */
#include "event_text.hh"

#include "sample.hh"

#include <libcorbel/latency.hh>

#include <array>
#include <cerrno>
#include <iterator>

#include <fmt/format.h>

namespace corbel::cli {

namespace {

struct EventName {
	unsigned type;
	std::string_view name;
};

constexpr std::array names{
	EventName{CORBEL_EVENT_ACCEPT, "accept"}, EventName{CORBEL_EVENT_INJECT, "inject"},
	EventName{CORBEL_EVENT_DROP, "drop"},	  EventName{CORBEL_EVENT_RESYNC, "resync"},
	EventName{CORBEL_EVENT_VCPU, "vcpu"},
};
static_assert(names.size() == CORBEL_EVENT_MAX);

/* Such an event is about a vector; the others are about the vCPU. */
bool has_vector(unsigned type)
{
	return type == CORBEL_EVENT_ACCEPT || type == CORBEL_EVENT_INJECT ||
	       type == CORBEL_EVENT_DROP;
}

/* An injection carries no path: what it takes may have come by several. */
bool has_path(unsigned type)
{
	return type == CORBEL_EVENT_ACCEPT || type == CORBEL_EVENT_DROP;
}

} /* namespace */

std::string_view name_of_event(unsigned type)
{
	for (const auto &[known, name] : names)
		if (known == type)
			return name;
	return "unknown";
}

Result<std::uint32_t> parse_events(std::string_view list)
{
	std::uint32_t mask = 0;

	for (;;) {
		auto comma = list.find(',');
		auto word = list.substr(0, comma);
		std::uint32_t bit = 0;

		for (const auto &[type, name] : names)
			if (name == word)
				bit = 1U << type;
		if (!bit)
			return failure(EINVAL, fmt::format("There is no event '{}': choose among "
							   "{}.",
							   word, all_events));
		mask |= bit;
		if (comma == list.npos)
			return mask;
		list.remove_prefix(comma + 1);
	}
}

void EventWriter::begin(std::string &to) const
{
	if (format_ == EventFormat::csv)
		to += "seq,time_ns,tsc_ticks,vcpu,type,vector,path,coalesced,latency_ns,vcpu_id,"
		      "loss_before\n";
}

void EventWriter::append(std::string &to, const corbel_event &event)
{
	if (first_)
		first_tsc_ = event.tsc;
	first_ = false;

	/* Records of different CPUs can be a few ticks out of order. */
	auto ticks = event.tsc > first_tsc_ ? event.tsc - first_tsc_ : 0;
	auto time_ns = ticks_to_ns(ticks, tsc_khz_);
	if (format_ == EventFormat::json)
		append_json(to, event, time_ns);
	else
		append_csv(to, event, time_ns);
}

void EventWriter::append_json(std::string &to, const corbel_event &event,
			      std::uint64_t time_ns) const
{
	auto out = std::back_inserter(to);

	fmt::format_to(out, R"({{"type":"{}","seq":{},"time_ns":{},"tsc_ticks":{},"vcpu":{})",
		       name_of_event(event.type), event.seq, time_ns, event.tsc, event.vcpu);
	if (has_vector(event.type))
		fmt::format_to(out, R"(,"vector":{})", event.vector);
	if (has_path(event.type))
		fmt::format_to(out, R"(,"path":"{}")", name_of_path(event.path));
	if (event.type == CORBEL_EVENT_ACCEPT)
		fmt::format_to(out, R"(,"coalesced":{})", event.arg != 0);
	if (event.type == CORBEL_EVENT_INJECT && event.arg)
		fmt::format_to(out, R"(,"latency_ns":{})", ticks_to_ns(event.arg, tsc_khz_));
	if (event.type == CORBEL_EVENT_INJECT && !event.arg)
		to += R"(,"latency_ns":null)";
	if (event.type == CORBEL_EVENT_VCPU)
		fmt::format_to(out, R"(,"vcpu_id":{})", event.arg);
	if (event.flags & CORBEL_EVENT_F_LOSS)
		to += R"(,"loss_before":true)";
	to += "}\n";
}

void EventWriter::append_csv(std::string &to, const corbel_event &event,
			     std::uint64_t time_ns) const
{
	auto out = std::back_inserter(to);

	fmt::format_to(out, "{},{},{},{},{},", event.seq, time_ns, event.tsc, event.vcpu,
		       name_of_event(event.type));
	if (has_vector(event.type))
		fmt::format_to(out, "{}", event.vector);
	to += ',';
	if (has_path(event.type))
		to += name_of_path(event.path);
	to += ',';
	if (event.type == CORBEL_EVENT_ACCEPT)
		to += event.arg ? '1' : '0';
	to += ',';
	if (event.type == CORBEL_EVENT_INJECT && event.arg)
		fmt::format_to(out, "{}", ticks_to_ns(event.arg, tsc_khz_));
	to += ',';
	if (event.type == CORBEL_EVENT_VCPU)
		fmt::format_to(out, "{}", event.arg);
	to += event.flags & CORBEL_EVENT_F_LOSS ? ",1\n" : ",0\n";
}

} /* namespace corbel::cli */
