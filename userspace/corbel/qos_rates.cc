// SPDX-License-Identifier: GPL-2.0-or-later
#include "qos_rates.hh"

#include "quantity.hh"
#include "schema.hh"

#include "../pool/names.hh"
#include "../qos/words.hh"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace corbel::cli {

namespace {

/* Counters only grow, unless the target was made anew. */
std::uint64_t since(std::uint64_t before, std::uint64_t after)
{
	return after >= before ? after - before : after;
}

std::uint64_t number_at(const Json &counters, const char *op, const char *what)
{
	return counters.is_null() ? 0 : counters.at(op).at(what).get<std::uint64_t>();
}

std::uint64_t number_at(const Json &counters, const char *what)
{
	return counters.is_null() ? 0 : counters.at(what).get<std::uint64_t>();
}

workloads::Histogram histogram_of(const Json &object, const char *which)
{
	workloads::Histogram histogram;

	if (object.is_object() && !object.at("histograms").is_null())
		for (const auto &bucket : object.at("histograms").at(which))
			histogram[bucket.at("bucket").get<unsigned>()] =
				bucket.at("count").get<std::uint64_t>();
	return histogram;
}

/* Reads and writes that were done meanwhile. */
workloads::Histogram done_between(const Json &before, const Json &after)
{
	workloads::Histogram done;

	for (const char *which : {"read", "write"}) {
		auto old = histogram_of(before, which);

		for (const auto &[bucket, count] : histogram_of(after, which))
			if (const auto more = since(old[bucket], count))
				done[bucket] += more;
	}
	return done;
}

const Json *find(const Json &objects, const Json &like)
{
	for (const auto &object : objects)
		if (object.at("name") == like.at("name") &&
		    object.at("number") == like.at("number"))
			return &object;
	return nullptr;
}

Json quantile_of(const workloads::Histogram &histogram, unsigned per_mille)
{
	return histogram.empty() ? Json() : Json(workloads::quantile(histogram, per_mille));
}

std::string duration_of(const Json &ns)
{
	return ns.is_null() ? "-" : show_duration(ns.get<std::uint64_t>());
}

} /* namespace */

Json rates_between(const Json &before, const Json &after, double seconds)
{
	auto rates = Json::array();

	for (const auto &object : after) {
		const auto *old = find(before, object);
		const Json none;
		const auto &was = old ? old->at("counters") : none;
		const auto &is = object.at("counters");
		Json json{{"name", object.at("name")}, {"policy", object.at("policy")}};
		std::uint64_t ios = 0, ns = 0;

		for (const char *op : {"read", "write", "discard", "flush"}) {
			const auto grown = [&](const char *what) {
				return since(number_at(was, op, what), number_at(is, op, what));
			};
			json[op] = {{"ios_per_s", static_cast<double>(grown("ios")) / seconds},
				    {"bytes_per_s", static_cast<double>(grown("bytes")) / seconds},
				    {"errors", grown("errors")}};
			ios += grown("ios");
			ns += grown("device_ns");
		}
		json["throttled_per_s"] = static_cast<double>(since(number_at(was, "throttled"),
								    number_at(is, "throttled"))) /
					  seconds;
		json["device_ns"] = ios ? Json(ns / ios) : Json();
		const auto done = done_between(old ? *old : none, object);
		json["p50_ns"] = quantile_of(done, 500);
		json["p99_ns"] = quantile_of(done, 990);
		rates.push_back(std::move(json));
	}
	return rates;
}

Json rates_schema()
{
	namespace s = schema;
	const auto op = s::object(
		{{"ios_per_s", s::real()}, {"bytes_per_s", s::real()}, {"errors", s::count()}});

	return s::object({{"name", s::string()},
			  {"policy", s::nullable(s::string())},
			  {"read", op},
			  {"write", op},
			  {"discard", op},
			  {"flush", op},
			  {"throttled_per_s", s::real("I/Os that were held")},
			  {"device_ns", s::nullable(s::count("of an I/O at the device, mean"))},
			  {"p50_ns", s::nullable(s::count("of reads and writes there"))},
			  {"p99_ns", s::nullable(s::count())}});
}

std::vector<Line> show_rates(const Json &rates, std::string_view headline, Room room)
{
	constexpr std::size_t above = 3; /* headline, empty line, titles */
	using Align = Table::Align;
	Table table({{"OBJECT", Align::left},
		     {"POLICY", Align::left, 2},
		     {"READ"},
		     {"WRITE"},
		     {"READ B"},
		     {"WRITE B"},
		     {"THROTTLED"},
		     {"MEAN"},
		     {"P50", Align::right, 1},
		     {"P99", Align::right, 1}});
	std::vector<const Json *> rows;
	std::vector<Line> lines{{fit(headline, room.width), true}, {}};
	const auto busy = [](const Json *object) {
		return object->at("read").at("ios_per_s").get<double>() +
		       object->at("write").at("ios_per_s").get<double>();
	};
	const auto size_of = [](const Json &op) {
		return fmt::format("{}/s", pool::size_text(static_cast<std::uint64_t>(std::llround(
						   op.at("bytes_per_s").get<double>()))));
	};

	for (const auto &object : rates)
		rows.push_back(&object);
	/* Those that do the same in an order that stays. */
	std::ranges::sort(rows, [&](const Json *one, const Json *other) {
		return busy(one) != busy(other) ? busy(one) > busy(other)
						: one->at("name") < other->at("name");
	});
	const auto most = room.height > above ? room.height - above : 0;
	const bool cut = rows.size() > most;
	const auto left_out = cut ? rows.size() - most + 1 : 0;
	if (cut)
		rows.resize(most ? most - 1 : 0);
	for (const auto *object : rows) {
		const auto &policy = object->at("policy");
		const auto &read = object->at("read"), &write = object->at("write");

		table.add({printable(object->at("name").get<std::string>()),
			   policy.is_null() ? "-" : printable(policy.get<std::string>()),
			   show_rate(read.at("ios_per_s")), show_rate(write.at("ios_per_s")),
			   size_of(read), size_of(write), show_rate(object->at("throttled_per_s")),
			   duration_of(object->at("device_ns")), duration_of(object->at("p50_ns")),
			   duration_of(object->at("p99_ns"))});
	}
	auto text = table.lines(room.width);
	for (std::size_t i = 0; i < text.size(); i++)
		lines.push_back({std::move(text[i]), i == 0});
	if (cut)
		lines.push_back(
			{fmt::format("... and {}, less busy", show_number_of(left_out, "object")),
			 false});
	return lines;
}

} /* namespace corbel::cli */
