// SPDX-License-Identifier: GPL-2.0-or-later
/* The QMP client, against servers that do all that QEMU should not. */
#include "../qemu/facts.hh"
#include "../qemu/qmp.hh"
#include "fake_qemus.hh"
#include "result.hh"
#include "temporary_folder.hh"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sys/socket.h>

#include <fmt/format.h>

namespace corbel::test {

namespace {

using namespace corbel::qemu;
using namespace std::chrono_literals;
using testing::HasSubstr;

class QmpClient : public testing::Test {
protected:
	void serve(FakeQemus::Talk talk)
	{
		qemus.listen(socket, std::move(talk));
		qemus.start();
	}
	/* A server that greets and says @text to each command after the first. */
	void serve_text(const std::string &text)
	{
		serve([text, commands = 0](int client, const std::string &line) mutable {
			if (line.empty() || commands++ == 0)
				FakeQemus::answer(client, line);
			else
				FakeQemus::say(client, text);
		});
	}

	TemporaryFolder folder;
	std::filesystem::path socket = folder.path() / "qmp";
	FakeQemus qemus;
};

TEST_F(QmpClient, asks_and_is_answered)
{
	serve(FakeQemus::answer);
	auto qmp = must(Qmp::connect(socket, 60s, ::getpid()));
	EXPECT_EQ(qmp.version(), "7.2.22");
	EXPECT_EQ(must(qmp.execute("query-status", 60s))["status"], "running");
}

TEST_F(QmpClient, reads_what_a_guest_is_made_of)
{
	serve(FakeQemus::answer);
	const auto facts = must(facts_of_monitor(socket, 60s, 0));
	EXPECT_EQ(facts.status, "running");
	EXPECT_EQ(facts.vcpus, 2U);
	ASSERT_EQ(facts.disks.size(), 1U);
	EXPECT_EQ(facts.disks[0].file, "/a.qcow2");
	EXPECT_TRUE(facts.disks[0].read_only);
	ASSERT_EQ(facts.disk_io.size(), 1U);
	EXPECT_EQ(facts.disk_io[0].id, facts.disks[0].id);
	EXPECT_EQ(facts.disk_io[0].read_bytes, 4096U);
	EXPECT_EQ(facts.disk_io[0].flushes, 3U);
	EXPECT_EQ(facts.disk_io[0].read_ns, 1500000000U);
	ASSERT_EQ(facts.memory_backends.size(), 1U);
	EXPECT_EQ(facts.memory_backends[0].size, 4096U);
}

TEST_F(QmpClient, takes_replies_in_any_order)
{
	serve([kept = std::vector<std::string>()](int client, const std::string &line) mutable {
		if (line.find("query") == line.npos)
			return FakeQemus::answer(client, line);
		kept.push_back(line);
		if (kept.size() < 3)
			return;
		FakeQemus::say(client, "{\"return\": {}, \"id\": 4711}\n{\"return\": {}}\n");
		for (auto at = kept.rbegin(); at != kept.rend(); ++at)
			FakeQemus::answer(client, *at);
	});
	auto qmp = must(Qmp::connect(socket, 60s));
	const auto status = must(qmp.send("query-status", 60s));
	const auto name = must(qmp.send("query-name", 60s));
	const auto cpus = must(qmp.send("query-cpus-fast", 60s));
	EXPECT_EQ(must(qmp.wait(status, 60s))["status"], "running");
	EXPECT_EQ(must(qmp.wait(cpus, 60s)).size(), 2U);
	EXPECT_EQ(must(qmp.wait(name, 60s))["name"], "fake");
	EXPECT_EQ(error_of(qmp.wait(name, 60s)), EINVAL) << "a reply is taken once";
}

TEST_F(QmpClient, keeps_events_and_no_more_than_it_has_room_for)
{
	std::string text;

	for (int i = 0; i < 300; i++)
		text += fmt::format(R"({{"event": "E{}", "data": {{"n": {}}}}})", i, i) + "\n";
	text += R"({"event": "BIG", "data": ")" + std::string(70000, 'x') + "\"}\n";
	serve_text(text + "{\"return\": 1, \"id\": 2}\n");
	auto qmp = must(Qmp::connect(socket, 60s));
	EXPECT_EQ(must(qmp.execute("query-name", 60s)), 1);
	for (int i = 0; i < 256; i++) {
		const auto event = must(qmp.next_event(0ms));
		ASSERT_TRUE(event);
		EXPECT_EQ(event->name, fmt::format("E{}", i));
		EXPECT_EQ(event->data["n"], i);
	}
	EXPECT_FALSE(must(qmp.next_event(10ms)));
	EXPECT_EQ(qmp.lost_events(), 45U);
}

TEST_F(QmpClient, waits_no_longer_than_it_is_told)
{
	serve([](int client, const std::string &line) {
		if (line.empty() || line.find("qmp_capabilities") != line.npos)
			FakeQemus::answer(client, line);
	});
	auto qmp = must(Qmp::connect(socket, 60s));
	const auto silent = qmp.execute("query-status", 50ms);
	EXPECT_EQ(error_of(silent), ETIMEDOUT);
	EXPECT_THAT(silent.error().sentence, HasSubstr(socket.string()));
	EXPECT_THAT(silent.error().sentence, HasSubstr("'query-status'"));
	while (error_of(qmp.send("query-name", 1s)) == 0)
		;
	EXPECT_EQ(error_of(qmp.send("query-name", 1s)), EBUSY) << "not without end";
}

TEST_F(QmpClient, gives_up_where_nobody_greets)
{
	serve(FakeQemus::hang);
	const auto refused = Qmp::connect(socket, 50ms);
	EXPECT_EQ(error_of(refused), ETIMEDOUT);
	EXPECT_THAT(refused.error().sentence, HasSubstr("does not greet"));
}

TEST_F(QmpClient, gives_up_where_nobody_accepts)
{
	std::vector<ScopedFd> others;
	qemus.listen(socket, FakeQemus::hang); /* and is not started */
	for (;;) {
		auto other = connect_unix(socket, Deadline(50ms));

		if (!other) {
			EXPECT_EQ(error_of(other), ETIMEDOUT);
			break;
		}
		others.push_back(std::move(*other));
	}
	EXPECT_EQ(error_of(Qmp::connect(socket, 50ms)), ETIMEDOUT);
	EXPECT_EQ(error_of(Qmp::connect(folder.path() / "none", 50ms)), ENOENT);
	EXPECT_EQ(error_of(Qmp::connect(folder.path() / "no" / "folder", 50ms)), ENOENT);
}

TEST_F(QmpClient, talks_to_nobody_else)
{
	serve(FakeQemus::answer);
	EXPECT_EQ(error_of(Qmp::connect(socket, 60s, 1)), EPERM);
}

TEST_F(QmpClient, does_not_listen_to_a_chatterer_for_ever)
{
	serve([](int client, const std::string &line) {
		if (line.empty() || line.find("qmp_capabilities") != line.npos)
			return FakeQemus::answer(client, line);
		for (int i = 0; i < 2000; i++)
			FakeQemus::say(client, "{\"event\": \"E\"}\n");
	});
	auto qmp = must(Qmp::connect(socket, 60s));
	EXPECT_EQ(error_of(qmp.execute("query-status", 200ms)), ETIMEDOUT);
}

struct Bad {
	const char *name;
	std::string text;
	int number;
};

class QmpGarbage : public QmpClient, public testing::WithParamInterface<Bad> {};

TEST_P(QmpGarbage, is_an_error_that_names_the_socket)
{
	serve_text(GetParam().text);
	auto qmp = must(Qmp::connect(socket, 60s));
	const auto reply = qmp.execute("query-status", 60s);
	EXPECT_EQ(error_of(reply), GetParam().number);
	EXPECT_THAT(reply.error().sentence, HasSubstr(socket.string()));
}

INSTANTIATE_TEST_SUITE_P(
	, QmpGarbage,
	testing::Values(Bad{"no_json", "hello\n", EBADMSG}, Bad{"no_object", "[1]\n", EBADMSG},
			Bad{"no_text", "\xff\xfe{}\n", EBADMSG},
			Bad{"cut", "{\"return\": {\"a\"\n", EBADMSG},
			Bad{"deep", std::string(100000, '[') + std::string(100000, ']') + "\n",
			    EBADMSG},
			Bad{"twice", "{\"id\": 2, \"id\": 2, \"return\": {}}\n", EBADMSG},
			Bad{"refused",
			    "{\"id\": 2, \"error\": {\"class\": \"GenericError\", "
			    "\"desc\": \"no\"}}\n",
			    EREMOTEIO},
			Bad{"unknown", "{\"id\": 2, \"error\": {\"class\": \"CommandNotFound\"}}\n",
			    ENOTSUP},
			Bad{"huge", std::string(longest_qmp_line + 65536, 'x'), EMSGSIZE}),
	[](const auto &param) { return param.param.name; });

TEST_F(QmpClient, notices_that_qemu_ended)
{
	serve([](int client, const std::string &line) {
		if (line.empty() || line.find("qmp_capabilities") != line.npos)
			return FakeQemus::answer(client, line);
		FakeQemus::say(client, "{\"ret");
		::shutdown(client, SHUT_RDWR);
	});
	auto qmp = must(Qmp::connect(socket, 60s));
	EXPECT_EQ(error_of(qmp.execute("query-status", 60s)), ECONNRESET);
	EXPECT_EQ(error_of(qmp.execute("query-status", 60s)), ENOTCONN);
}

/* However the bytes are cut into pieces, the lines are the same. */
TEST(QmpLines, do_not_depend_on_how_they_come)
{
	const std::string bytes = "one\n\ntwo\r\nthree\nrest";

	for (std::size_t piece = 1; piece <= bytes.size(); piece++) {
		QmpLines lines;
		std::vector<std::string> all;

		for (std::size_t at = 0; at < bytes.size(); at += piece) {
			must(lines.add(std::string_view(bytes).substr(at, piece)));
			while (auto line = lines.next())
				all.push_back(*line);
		}
		EXPECT_THAT(all, testing::ElementsAre("one", "", "two\r", "three"));
	}
}

} /* namespace */

} /* namespace corbel::test */
