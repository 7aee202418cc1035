// SPDX-License-Identifier: GPL-2.0-or-later
#include "dispatcher.hh"

#include "../corbel/argument_values.hh"

#include <corbel/version.h>

#include <algorithm>
#include <cerrno>
#include <exception>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace corbel::daemon {

namespace {

constexpr std::size_t longest_arguments = 256 << 10;

const cli::Verb *verb_called(const std::string &words)
{
	const auto verbs = cli::all_verbs();
	const auto found = std::ranges::find(verbs, words, &cli::Verb::words);

	return found == verbs.end() ? nullptr : *found;
}

} /* namespace */

void send_in_pieces(Json answer, const std::string &key, Reply &reply)
{
	constexpr std::size_t most = 1 << 20;
	std::size_t bytes = 0;

	for (auto &each : std::exchange(answer[key], Json::array())) {
		const auto size = cli::dump(each).size();

		if (bytes && bytes + size > most) {
			if (!reply.send(answer))
				return;
			answer = {{key, Json::array()}};
			bytes = 0;
		}
		bytes += size;
		answer[key].push_back(std::move(each));
	}
	(void)reply.send(answer);
}

void Dispatcher::add(const cli::Verb &verb, Handler handler)
{
	handlers_[verb.words()] = std::move(handler);
}

void Dispatcher::add_object(const cli::Verb &verb, ObjectHandler handler)
{
	add(verb,
	    [handler = std::move(handler)](const Json &arguments, Reply &reply) -> Result<void> {
		    (void)reply.send(CORBEL_EXPECT(handler(arguments)));
		    return {};
	    });
}

void Dispatcher::let_look(const cli::Verb &verb, Looks looks)
{
	looks_[verb.words()] = std::move(looks);
}

Result<void> Dispatcher::check_complete() const
{
	for (const auto *verb : cli::all_verbs())
		if (verb->home == cli::Home::daemon && !handlers_.contains(verb->words()))
			return failure(ENOSYS,
				       fmt::format("Nothing does the verb '{}'.", verb->words()));
	return {};
}

Result<void> Dispatcher::call(const std::string &words, const std::string &arguments, Rights rights,
			      Reply &reply) const
{
	const auto *verb = verb_called(words);
	const auto handler = handlers_.find(words);

	if (!verb || handler == handlers_.end())
		return failure(ENOENT, fmt::format("corbeld {} knows no verb '{}' of its own.",
						   CORBEL_VERSION, words.substr(0, 100)));
	const auto looks = looks_.find(words);
	const bool may_look = verb->effect == cli::Effect::read || rights == Rights::change;
	const auto only_root =
		failure(EPERM, fmt::format("`corbel {}` changes something, which only root may ask "
					   "the daemon for; members of its group may look.",
					   words));
	if (!may_look && looks == looks_.end())
		return only_root;
	if (arguments.size() > longest_arguments)
		return failure(E2BIG, fmt::format("The arguments have more than {} bytes.",
						  longest_arguments));
	const auto values = Json::parse(arguments, nullptr, false);
	CORBEL_EXPECT(cli::check_values(cli::arguments_of(*verb), values));
	if (!may_look && !looks->second(values))
		return only_root;
	try {
		return handler->second(values, reply);
	} catch (const std::exception &error) {
		return failure(EIO, fmt::format("`corbel {}`: {}.", words, error.what()));
	}
}

} /* namespace corbel::daemon */
