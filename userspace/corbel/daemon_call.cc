// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon_call.hh"

#include "argument_values.hh"

#include "../rpc/controller_client.hh"

#include <cerrno>
#include <optional>

#include <fmt/format.h>

namespace corbel::cli {

namespace {

using namespace std::chrono_literals;

/* Long work is a job, so an answer is never long in coming. */
constexpr auto patience = 60s;

} /* namespace */

void add_piece(std::optional<Json> &answer, const Json &piece)
{
	if (!answer) {
		answer = piece;
		return;
	}
	for (const auto &[key, value] : piece.items())
		for (const auto &each : value)
			answer->at(key).push_back(each);
}

ExitCode ask_daemon(const Verb &verb, const std::vector<Argument> &arguments, bool json,
		    const Show &show)
{
	std::optional<Json> answer;
	const auto called = rpc::call(
		verb.words(), values_of(arguments),
		[&](const Json &object) {
			add_piece(answer, object);
			return true;
		},
		patience);

	if (!called)
		return report(called.error());
	if (!answer)
		return report({EPROTO, "The daemon answered with nothing."});
	if (!json)
		return show(*answer);
	fmt::print("{}\n", dump(*answer, 2));
	return ExitCode::ok;
}

Result<void> follow_daemon(const Verb &verb, const std::vector<Argument> &arguments,
			   const std::function<bool(const Json &object)> &take)
{
	return rpc::call(verb.words(), values_of(arguments), take);
}

} /* namespace corbel::cli */
