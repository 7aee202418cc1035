// SPDX-License-Identifier: GPL-2.0-or-later
#include "bounded_json.hh"

#include <cerrno>
#include <set>
#include <vector>

#include <fmt/format.h>

namespace corbel::qemu {

namespace {

/* Stops the parser: it has no other way to be stopped. */
struct Refused {
	std::string why;
};

/* Sees each value begin and end, and each key, before a value comes of it. */
class Guard {
public:
	bool operator()(int depth, ForeignJson::parse_event_t event, ForeignJson &value)
	{
		using Event = ForeignJson::parse_event_t;

		if (depth > deepest_json)
			throw Refused{fmt::format("it is nested more than {} deep", deepest_json)};
		if (event == Event::object_start)
			keys_.emplace_back();
		else if (event == Event::object_end)
			keys_.pop_back();
		else if (event == Event::key &&
			 !keys_.back().insert(value.get<std::string>()).second)
			throw Refused{fmt::format("key '{}' is there twice",
						  value.get<std::string>().substr(0, 64))};
		return true;
	}

private:
	std::vector<std::set<std::string>> keys_; /* of the objects that are open */
};

} /* namespace */

Result<ForeignJson> parse_bounded_json(std::string_view text)
{
	try {
		Guard guard;

		return ForeignJson::parse(text, std::ref(guard));
	} catch (const Refused &refused) {
		return failure(EBADMSG, refused.why);
	} catch (const ForeignJson::parse_error &error) {
		const std::string_view what = error.what();
		const auto at = what.find("at line");

		return failure(EBADMSG, fmt::format("it is no JSON: {}",
						    what.substr(at == what.npos ? 0 : at, 160)));
	} catch (const ForeignJson::exception &error) {
		return failure(EBADMSG, fmt::format("it is no JSON: {:.160}", error.what()));
	}
}

std::string string_in(const ForeignJson &object, const char *key)
{
	const auto *found = object.is_object() && object.contains(key) ? &object.at(key) : nullptr;

	return found && found->is_string() ? found->get<std::string>() : std::string();
}

std::uint64_t number_in(const ForeignJson &object, const char *key)
{
	const auto *found = object.is_object() && object.contains(key) ? &object.at(key) : nullptr;

	return found && found->is_number_unsigned() ? found->get<std::uint64_t>() : 0;
}

bool flag_in(const ForeignJson &object, const char *key)
{
	const auto *found = object.is_object() && object.contains(key) ? &object.at(key) : nullptr;

	return found && found->is_boolean() && found->get<bool>();
}

} /* namespace corbel::qemu */
