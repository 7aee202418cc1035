// SPDX-License-Identifier: GPL-2.0-or-later
#include "heat_picture.hh"

#include "table.hh"

#include "../pool/names.hh"

#include <png.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <string_view>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace corbel::cli {

namespace {

constexpr std::size_t across = 64, lines_high = 16, pixels = 8; /* of a bin */
constexpr std::size_t most_bins = 1 << 16;

constexpr std::array<std::string_view, 9> block_ramp{" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
constexpr std::array<std::string_view, 9> plain_ramp{" ", ".", ":", "-", "=", "+", "*", "#", "@"};

/* 0 to 1. */
double level(std::uint64_t count, std::uint64_t most)
{
	return most ? std::log1p(static_cast<double>(count)) / std::log1p(static_cast<double>(most))
		    : 0;
}

std::uint64_t busiest(const std::vector<HeatBin> &bins)
{
	std::uint64_t most = 0;

	for (const auto &bin : bins)
		most = std::max({most, bin.reads, bin.writes});
	return most;
}

struct Colour {
	std::uint8_t red, green, blue;
};

/* White if nothing happens there. */
Colour colour_of(const HeatBin &bin, std::uint64_t most)
{
	const auto reads = level(bin.reads, most), writes = level(bin.writes, most);
	const auto left = [](double taken) {
		return static_cast<std::uint8_t>(std::lround(255 * (1 - taken)));
	};

	return {left(reads), left(std::max(reads, writes)), left(writes)};
}

std::string escaped(std::string_view text)
{
	std::string safe;

	for (const char c : printable(text))
		safe += c == '<'   ? "&lt;"
			: c == '>' ? "&gt;"
			: c == '&' ? "&amp;"
			: c == '"' ? "&quot;"
				   : std::string(1, c);
	return safe;
}

} /* namespace */

HeatPicture heat_picture_of(const Json &answer)
{
	HeatPicture picture;
	const auto &object = answer.at("object");

	picture.title = object.is_null() ? answer.at("lun").get<std::string>()
					 : fmt::format("{} on {}", object.get<std::string>(),
						       answer.at("lun").get<std::string>());
	picture.bytes = answer.at("bytes").get<std::uint64_t>();
	picture.bin_bytes = std::max<std::uint64_t>(answer.at("bin_bytes").get<std::uint64_t>(), 1);
	picture.bins.resize(std::min<std::uint64_t>(
		picture.bytes / picture.bin_bytes + (picture.bytes % picture.bin_bytes != 0),
		most_bins));
	for (const auto &bin : answer.at("bins"))
		if (const auto index = bin.at("index").get<std::size_t>();
		    index < picture.bins.size())
			picture.bins[index] = {bin.at("reads"), bin.at("writes")};
	return picture;
}

std::vector<std::string> heat_text(const HeatPicture &picture, std::size_t columns, bool blocks)
{
	constexpr std::size_t label = 9;
	const auto &ramp = blocks ? block_ramp : plain_ramp;
	const auto wide = std::max<std::size_t>(columns, label + 8) - label;
	const auto together = std::max<std::size_t>(
		(picture.bins.size() + wide * lines_high - 1) / (wide * lines_high), 1);
	std::vector<std::uint64_t> cells;
	std::vector<std::string> lines;

	for (std::size_t i = 0; i < picture.bins.size(); i++) {
		if (i % together == 0)
			cells.push_back(0);
		cells.back() += picture.bins[i].reads + picture.bins[i].writes;
	}
	const auto most = cells.empty() ? 0 : *std::ranges::max_element(cells);
	for (std::size_t i = 0; i < cells.size(); i++) {
		if (i % wide == 0)
			lines.push_back(fmt::format(
				"{:>8} ", pool::size_text(i * together * picture.bin_bytes)));
		/* What happens at all is seen. */
		const auto step = static_cast<std::size_t>(
			std::lround(level(cells[i], most) * static_cast<double>(ramp.size() - 1)));
		lines.back() += ramp[cells[i] ? std::max<std::size_t>(step, 1) : 0];
	}
	return lines;
}

std::string heat_svg(const HeatPicture &picture)
{
	constexpr std::size_t left = 80, top = 40;
	const auto most = busiest(picture.bins);
	const auto rows = (picture.bins.size() + across - 1) / across;
	const auto width = left + across * pixels + 10, height = top + rows * pixels + 10;
	std::string text = fmt::format(
		"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0}\" height=\"{1}\" "
		"viewBox=\"0 0 {0} {1}\" font-family=\"sans-serif\" font-size=\"10\">\n"
		"<rect width=\"{0}\" height=\"{1}\" fill=\"white\"/>\n"
		"<text x=\"{2}\" y=\"15\" font-size=\"13\">{3}</text>\n"
		"<text x=\"{2}\" y=\"30\">reads blue, writes red; {4} a square, the busiest {5} "
		"I/Os</text>\n",
		width, height, left, escaped(picture.title), pool::size_text(picture.bin_bytes),
		most);

	for (std::size_t row = 0; row < rows; row += 4)
		text += fmt::format("<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>\n",
				    left - 6, top + row * pixels + pixels,
				    pool::size_text(row * across * picture.bin_bytes));
	for (std::size_t i = 0; i < picture.bins.size(); i++) {
		const auto &bin = picture.bins[i];
		if (!bin.reads && !bin.writes)
			continue;
		const auto [red, green, blue] = colour_of(bin, most);
		text += fmt::format("<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" "
				    "fill=\"#{:02x}{:02x}{:02x}\"><title>{}: {} reads, {} "
				    "writes</title></rect>\n",
				    left + i % across * pixels, top + i / across * pixels, pixels,
				    pixels, red, green, blue,
				    pool::size_text(i * picture.bin_bytes), bin.reads, bin.writes);
	}
	text += fmt::format("<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" fill=\"none\" "
			    "stroke=\"#888\"/>\n</svg>\n",
			    left, top, across * pixels, rows * pixels);
	return text;
}

Result<std::string> heat_png(const HeatPicture &picture)
{
	const auto most = busiest(picture.bins);
	const auto rows = std::max<std::size_t>((picture.bins.size() + across - 1) / across, 1);
	const auto stride = across * pixels * 3;
	std::vector<std::uint8_t> image(stride * rows * pixels, 255);
	png_image header{};
	png_alloc_size_t size = 0;
	std::string file;

	for (std::size_t i = 0; i < picture.bins.size(); i++) {
		const auto [red, green, blue] = colour_of(picture.bins[i], most);

		for (std::size_t y = 0; y < pixels; y++) {
			auto *at = &image[(i / across * pixels + y) * stride +
					  i % across * pixels * 3];
			for (std::size_t x = 0; x < pixels; x++) {
				*at++ = red;
				*at++ = green;
				*at++ = blue;
			}
		}
	}
	header.version = PNG_IMAGE_VERSION;
	header.width = static_cast<png_uint_32>(across * pixels);
	header.height = static_cast<png_uint_32>(rows * pixels);
	header.format = PNG_FORMAT_RGB;
	const auto write = [&](void *to) {
		return ::png_image_write_to_memory(&header, to, &size, 0, image.data(), 0,
						   nullptr) != 0;
	};
	if (write(nullptr)) {
		file.resize(size);
		if (write(file.data())) {
			file.resize(size);
			return file;
		}
	}
	return failure(ENOMEM, fmt::format("No PNG can be made of it: {}.",
					   static_cast<const char *>(header.message)));
}

} /* namespace corbel::cli */
