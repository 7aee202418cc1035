// SPDX-License-Identifier: GPL-2.0-or-later
/* The parts of the daemon that can be looked at alone. */
#include "../corbel/daemon_call.hh"
#include "../corbeld/dispatcher.hh"
#include "../corbeld/local_server.hh"
#include "../corbeld/warnings.hh"
#include "../state/sqlite_store.hh"
#include "result.hh"
#include "temporary_folder.hh"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <sys/socket.h>

#include <cerrno>
#include <optional>

namespace corbel::test {

namespace {

using namespace corbel::daemon;
using testing::HasSubstr;

class Answers final : public Reply {
public:
	[[nodiscard]] bool send(const Json &object) override
	{
		objects.push_back(object.dump());
		return true;
	}
	[[nodiscard]] bool gone() override { return false; }

	std::vector<std::string> objects;
};

struct Dispatched : testing::Test {
	Dispatcher dispatcher;
	Answers answers;

	Dispatched()
	{
		dispatcher.add_object(cli::job_show_verb, [](const Json &arguments) {
			return Result<Json>(arguments);
		});
		dispatcher.add_object(cli::job_cancel_verb, [](const Json &) -> Result<Json> {
			throw std::runtime_error("it broke");
		});
	}
	int error(const char *verb, const char *arguments, Rights rights = Rights::change)
	{
		return error_of(dispatcher.call(verb, arguments, rights, answers));
	}
};

TEST_F(Dispatched, comes_to_its_handler)
{
	EXPECT_EQ(error("job show", R"({"job":7})", Rights::read), 0);
	EXPECT_THAT(answers.objects, testing::ElementsAre(R"({"job":7})"));
}

TEST_F(Dispatched, is_held_against_the_table)
{
	EXPECT_EQ(error("job show", R"({"job":"7"})"), EINVAL);
	EXPECT_EQ(error("job show", R"({"job":7,"more":1})"), EINVAL);
	EXPECT_EQ(error("job show", "{"), EINVAL);
	EXPECT_EQ(error("job show", std::string(1 << 20, ' ').c_str()), E2BIG);
	EXPECT_EQ(error("job", "{}"), ENOENT);
	EXPECT_EQ(error("", "{}"), ENOENT);
	/* The tool does it itself. */
	EXPECT_EQ(error("irq show", R"({"vm":"a"})"), ENOENT);
	EXPECT_TRUE(answers.objects.empty());
}

TEST_F(Dispatched, takes_the_rights_for_it)
{
	EXPECT_EQ(error("job cancel", R"({"job":7})", Rights::read), EPERM);
	EXPECT_EQ(error("job cancel", R"({"job":7,"dry-run":true})", Rights::read), EPERM);
	EXPECT_EQ(error("job cancel", R"({"job":7})"), EIO);
}

TEST_F(Dispatched, lets_look_who_changes_nothing_by_it)
{
	dispatcher.add_object(cli::qos_heatmap_verb,
			      [](const Json &) { return Json{{"on", true}}; });
	EXPECT_EQ(error("qos heatmap", R"({"lun":"a"})", Rights::read), EPERM);
	dispatcher.let_look(cli::qos_heatmap_verb,
			    [](const Json &arguments) { return !arguments.contains("on"); });
	EXPECT_EQ(error("qos heatmap", R"({"lun":"a"})", Rights::read), 0);
	EXPECT_EQ(error("qos heatmap", R"({"lun":"a","on":true})", Rights::read), EPERM);
	EXPECT_EQ(error("qos heatmap", R"({"lun":"a","on":true})"), 0);
	EXPECT_EQ(error("qos heatmap", R"({"lun":"a","on":7})", Rights::read), EINVAL);
}

/* Each fits into a message; put together again they are the answer. */
TEST_F(Dispatched, long_answers_come_in_pieces)
{
	Json answer{{"lun", "a"}, {"objects", Json::array()}};

	const auto pieces = [&] {
		std::optional<Json> whole;

		answers.objects.clear();
		send_in_pieces(answer, "objects", answers);
		for (const auto &each : answers.objects) {
			EXPECT_LT(each.size(), 2U << 20);
			cli::add_piece(whole, Json::parse(each));
		}
		EXPECT_EQ(whole, answer);
		return answers.objects.size();
	};

	EXPECT_EQ(pieces(), 1U);
	for (int i = 0; i < 10'000; i++)
		answer["objects"].push_back({{"number", i}, {"text", std::string(1000, 'x')}});
	EXPECT_GT(pieces(), 9U);
	answer["objects"] = {{{"text", std::string(1500 << 10, 'x')}}, {{"number", 1}}};
	EXPECT_EQ(pieces(), 2U);
}

TEST_F(Dispatched, has_a_handler_for_each_verb_of_the_daemon)
{
	const auto complete = dispatcher.check_complete();

	ASSERT_EQ(error_of(complete), ENOSYS);
	EXPECT_THAT(complete.error().sentence, HasSubstr("Nothing does the verb '"));
}

TEST(rights_of, are_those_of_who_connected)
{
	int ends[2];

	ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	const ScopedFd one(ends[0]), other(ends[1]);
	EXPECT_EQ(rights_of(one.get(), std::nullopt), Rights::change);
	EXPECT_EQ(rights_of(-1, std::nullopt), std::nullopt);
}

struct Warned : testing::Test {
	TemporaryFolder folder;
	std::unique_ptr<state::Store> store = must(state::open_sqlite_store(
		must(state::options_for((folder.path() / "state").string()))));
	Warnings warnings{*store};
};

TEST_F(Warned, is_counted)
{
	using jobs::Severity;

	testing::internal::CaptureStderr();
	warnings.add(Severity::warning, "It is slow.");
	warnings.add(Severity::warning, "It is slow.");
	warnings.add(Severity::error, "It is slow.");
	EXPECT_THAT(testing::internal::GetCapturedStderr(), HasSubstr("warning: It is slow."));
	const auto list = must(warnings.list());
	ASSERT_EQ(list.size(), 2U);
	EXPECT_EQ(list[0].count + list[1].count, 3U);
}

} /* namespace */

} /* namespace corbel::test */
