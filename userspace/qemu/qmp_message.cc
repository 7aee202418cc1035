// SPDX-License-Identifier: GPL-2.0-or-later
#include "qmp_message.hh"

#include <cerrno>

#include <fmt/format.h>

namespace corbel::qemu {

namespace {

/* So much of a text of QEMU's is shown in a sentence of ours. */
constexpr std::size_t longest_quote = 300;

QmpGreeting greeting_of(const ForeignJson &greeting)
{
	const auto version = greeting.value("version", ForeignJson::object());
	const auto qemu = version.is_object() ? version.value("qemu", ForeignJson::object())
					      : ForeignJson::object();

	return {fmt::format("{}.{}.{}", number_in(qemu, "major"), number_in(qemu, "minor"),
			    number_in(qemu, "micro"))};
}

Error error_of(const ForeignJson &error)
{
	auto text = string_in(error, "desc").substr(0, longest_quote);

	return {string_in(error, "class") == "CommandNotFound" ? ENOTSUP : EREMOTEIO,
		text.empty() ? "it does not say why" : std::move(text)};
}

} /* namespace */

Result<void> QmpLines::add(std::string_view bytes)
{
	if (taken_ > 0) {
		bytes_.erase(0, taken_);
		searched_ -= taken_;
		taken_ = 0;
	}
	bytes_ += bytes;
	if (bytes_.size() > longest_qmp_line && bytes_.find('\n', searched_) == bytes_.npos)
		return failure(EMSGSIZE,
			       fmt::format("a line of more than {} bytes", longest_qmp_line));
	return {};
}

std::optional<std::string> QmpLines::next()
{
	const auto end = bytes_.find('\n', searched_);

	if (end == bytes_.npos) {
		searched_ = bytes_.size();
		return std::nullopt;
	}
	auto line = bytes_.substr(taken_, end - taken_);
	taken_ = searched_ = end + 1;
	return line;
}

Result<QmpMessage> parse_qmp(std::string_view line)
{
	if (line.size() > longest_qmp_line)
		return failure(EBADMSG,
			       fmt::format("a line of more than {} bytes", longest_qmp_line));
	auto json = CORBEL_EXPECT(parse_bounded_json(line));

	if (!json.is_object())
		return failure(EBADMSG, "it is no JSON object");
	if (json.contains("QMP")) {
		if (!json["QMP"].is_object())
			return failure(EBADMSG, "its greeting is no object");
		return greeting_of(json["QMP"]);
	}
	if (json.contains("event"))
		return QmpEvent{.name = string_in(json, "event").substr(0, 128),
				.data = json.value("data", ForeignJson()),
				.size = line.size()};
	if (!json.contains("id") || !json["id"].is_number_unsigned()) {
		/* QEMU could not read what it was sent, so it does not know whose it was. */
		if (json.contains("error"))
			return failure(EBADMSG, error_of(json["error"]).sentence);
		return QmpNoise{};
	}
	const auto id = json["id"].get<std::uint64_t>();
	if (json.contains("return"))
		return QmpReply{id, std::move(json["return"])};
	if (json.contains("error"))
		return QmpReply{id, std::unexpected(error_of(json["error"]))};
	return QmpNoise{};
}

} /* namespace corbel::qemu */
