// SPDX-License-Identifier: GPL-2.0-or-later
#include "migrate_report.hh"

#include <algorithm>
#include <array>
#include <cerrno>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace corbel::cli {

namespace {

constexpr double width = 1000, left = 60, right = 980;
constexpr double phases_top = 70, phases_height = 26;
constexpr double pages_top = 140, pages_height = 220;
constexpr double stalls_top = 420, stalls_height = 140;
constexpr double words_top = 620;

/* Of text from the other host, too. */
std::string escaped(std::string_view text)
{
	std::string safe;

	for (const char c : text)
		switch (c) {
		case '<':
			safe += "&lt;";
			break;
		case '>':
			safe += "&gt;";
			break;
		case '&':
			safe += "&amp;";
			break;
		case '"':
			safe += "&quot;";
			break;
		default:
			safe += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
		}
	return safe;
}

std::string label(double x, double y, std::string_view text, const char *anchor = "start",
		  int size = 12)
{
	return fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\" "
			   "font-size=\"{}\">{}</text>\n",
			   x, y, anchor, size, escaped(text));
}

std::string box(double x, double y, double w, double h, std::string_view fill,
		std::string_view title)
{
	return fmt::format("<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\" "
			   "fill=\"{}\"><title>{}</title></rect>\n",
			   x, y, std::max(w, 0.5), std::max(h, 0.0), fill, escaped(title));
}

std::uint64_t number_at(const Json &object, const char *key)
{
	const auto found = object.find(key);

	return found != object.end() && found->is_number_integer() ? found->get<std::uint64_t>()
								   : 0;
}

std::int64_t time_at(const Json &object)
{
	const auto found = object.find("at_ms");

	return found != object.end() && found->is_number_integer() ? found->get<std::int64_t>() : 0;
}

class Picture {
public:
	Picture(const Json &job, const Json &result)
		: job_(job),
		  timeline_(result.value("timeline", Json::array())),
		  samples_(result.value("samples", Json::array())),
		  result_(result)
	{
		for (const auto *list : {&timeline_, &samples_})
			for (const auto &entry : *list)
				end_ = std::max(end_, time_at(entry));
	}

	std::string draw()
	{
		text_ = fmt::format("<svg xmlns=\"http://www.w3.org/2000/svg\" "
				    "viewBox=\"0 0 {} {}\" font-family=\"sans-serif\">\n"
				    "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n",
				    width,
				    words_top + 20 + 16 * static_cast<double>(timeline_.size()));
		head();
		phases();
		pages();
		stalls();
		words();
		return text_ + "</svg>\n";
	}

private:
	[[nodiscard]] double x_of(std::int64_t ms) const
	{
		return left + (right - left) * static_cast<double>(ms) /
				      static_cast<double>(std::max<std::int64_t>(end_, 1));
	}

	void head()
	{
		const auto argument = job_.value("argument", Json::object());

		text_ += label(left, 28,
			       fmt::format("Migration of {} to {}, job {}",
					   argument.value("vm", std::string("?")),
					   argument.value("name", std::string("?")),
					   job_.value("id", std::uint64_t{0})),
			       "start", 18);
		text_ += label(left, 50,
			       result_.value("outcome", job_.value("state", std::string())) +
				       (result_.contains("switch_ms")
						? fmt::format(", switched over in {} ms",
							      number_at(result_, "switch_ms"))
						: ""));
	}

	/* From when each begins to when the next one does. */
	void phases()
	{
		constexpr std::array colours{"#4878a8", "#6aa84f", "#e0a030", "#b05050",
					     "#8060a0", "#50a0a0", "#909090"};
		std::vector<std::pair<std::int64_t, std::string>> begins;

		for (const auto &entry : timeline_)
			if (entry.value("what", std::string()) == "begins")
				begins.emplace_back(time_at(entry),
						    entry.value("phase", std::string()));
		for (std::size_t i = 0; i < begins.size(); i++) {
			const auto to = i + 1 < begins.size() ? begins[i + 1].first : end_;
			const double x = x_of(begins[i].first), w = x_of(to) - x;

			text_ += box(
				x, phases_top, w, phases_height, colours[i % colours.size()],
				fmt::format("{}: {} ms", begins[i].second, to - begins[i].first));
			if (w > 7.0 * static_cast<double>(begins[i].second.size()))
				text_ += label(x + 4, phases_top + 17, begins[i].second);
		}
		text_ += label(left, phases_top + phases_height + 16, "0");
		text_ += label(right, phases_top + phases_height + 16, fmt::format("{} ms", end_),
			       "end");
	}

	/* Present ones grow from below; those that somebody waits for hang from above. */
	void pages()
	{
		text_ += label(left, pages_top - 8,
			       "Pages at the destination: present, and waited for");
		for (std::size_t i = 0; i < samples_.size(); i++) {
			const auto &sample = samples_[i];
			const double x = x_of(time_at(sample));
			const double w =
				(i + 1 < samples_.size() ? x_of(time_at(samples_[i + 1])) : right) -
				x;
			const auto all = std::max<std::uint64_t>(number_at(sample, "bytes"), 1);
			const double part = static_cast<double>(number_at(sample, "present")) /
					    static_cast<double>(all);
			const double waits = std::min(
				1.0, 4096.0 * static_cast<double>(number_at(sample, "waiting")) /
					     static_cast<double>(all) * 20);

			text_ += box(x, pages_top + pages_height * (1 - part), w,
				     pages_height * part, "#9cc29c",
				     fmt::format("{:.1f} % present at {} ms", 100 * part,
						 time_at(sample)));
			if (waits > 0)
				text_ += box(
					x, pages_top, w, pages_height * waits, "#c86464",
					fmt::format("{} waited for", number_at(sample, "waiting")));
		}
		if (samples_.empty())
			text_ += label(left + 10, pages_top + 30,
				       "None: its memory went with QEMU's own migration.");
		text_ += fmt::format("<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" "
				     "fill=\"none\" stroke=\"#404040\"/>\n",
				     left, pages_top, right - left, pages_height);
	}

	/* How often, in each stretch of time, somebody began to wait for a page. */
	void stalls()
	{
		std::uint64_t most = 1, before = 0;
		std::vector<std::pair<double, std::uint64_t>> bars;

		for (const auto &sample : samples_) {
			const auto waits = number_at(sample, "waits");

			bars.emplace_back(x_of(time_at(sample)), waits - std::min(before, waits));
			most = std::max(most, bars.back().second);
			before = waits;
		}
		text_ += label(
			left, stalls_top - 8,
			fmt::format("Stalls: times that somebody began to wait for a page, at "
				    "most {} between two looks",
				    most));
		for (std::size_t i = 0; i < bars.size(); i++) {
			const double h = stalls_height * static_cast<double>(bars[i].second) /
					 static_cast<double>(most);
			const double from = i == 0 ? left : bars[i - 1].first;

			text_ += box(from, stalls_top + stalls_height - h, bars[i].first - from - 1,
				     h, "#e0a030", fmt::format("{}", bars[i].second));
		}
		text_ += fmt::format("<line x1=\"{}\" y1=\"{}\" x2=\"{}\" y2=\"{}\" "
				     "stroke=\"#404040\"/>\n",
				     left, stalls_top + stalls_height, right,
				     stalls_top + stalls_height);
	}

	void words()
	{
		double y = words_top;

		for (const auto &entry : timeline_) {
			text_ += label(left, y, fmt::format("{} ms", time_at(entry)), "end");
			text_ += label(left + 10, y,
				       fmt::format("{}: {}", entry.value("phase", std::string()),
						   entry.value("what", std::string())));
			y += 16;
		}
	}

	const Json &job_;
	Json timeline_, samples_;
	const Json &result_;
	std::int64_t end_ = 0;
	std::string text_;
};

} /* namespace */

Result<std::string> draw_migration(const Json &job)
{
	const auto result = job.find("result");

	if (job.value("kind", std::string()) != "vm.migrate")
		return failure(EINVAL, fmt::format("Job {} is no migration.",
						   job.value("id", std::uint64_t{0})));
	if (result == job.end() || !result->is_object())
		return failure(EINVAL, "That migration has not begun, or nothing of it is known.");
	return Picture(job, *result).draw();
}

} /* namespace corbel::cli */
