// SPDX-License-Identifier: GPL-2.0-or-later
#include "mapper.hh"

#include <libdevmapper.h>

#include <algorithm>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <mutex>
#include <optional>

#include <fmt/format.h>

namespace corbel::volumes {

namespace {

/* The library has one state for the process. */
std::mutex library;

/* What the library said last, which alone knows what it was about. */
std::string last_said;

void keep_said(int level, const char *, int, int, const char *format, ...)
{
	char line[512];
	va_list arguments;

	if ((level & 7) > 4)
		return;
	va_start(arguments, format);
	(void)std::vsnprintf(line, sizeof(line), format, arguments);
	va_end(arguments);
	last_said = line;
}

struct End {
	void operator()(dm_task *task) const { ::dm_task_destroy(task); }
};
using Task = std::unique_ptr<dm_task, End>;

/* Is there a target of that name, loaded now? */
bool knows_target(const std::string &target)
{
	const Task task(::dm_task_create(DM_DEVICE_LIST_VERSIONS));

	if (!task || !::dm_task_run(task.get()))
		return true; /* nobody knows */
	auto *at = ::dm_task_get_versions(task.get());
	for (;;) {
		if (target == static_cast<const char *>(at->name))
			return true;
		if (!at->next)
			return false;
		at = reinterpret_cast<dm_versions *>(reinterpret_cast<char *>(at) + at->next);
	}
}

std::unexpected<Error> failed(const Task &task, const std::string &name)
{
	const int number = task ? ::dm_task_get_errno(task.get()) : ENOMEM;

	if (number == ENXIO)
		return failure(ENXIO, fmt::format("There is no device {} in device-mapper.", name));
	return failure(number ? number : EIO,
		       fmt::format("device-mapper: {}.",
				   number || last_said.empty()
					   ? fmt::format("{}: {}", name,
							 describe_errno(number ? number : EIO))
					   : last_said));
}

Result<Task> make(int type, const std::string &name)
{
	Task task(::dm_task_create(type));

	last_said.clear();
	if (!task || (!name.empty() && !::dm_task_set_name(task.get(), name.c_str())))
		return failed(task, name);
	return task;
}

Result<void> run(const Task &task, const std::string &name)
{
	if (!::dm_task_run(task.get()))
		return failed(task, name);
	return {};
}

/* With the library's lock. */
Result<Task> make(int type, unsigned major, unsigned minor)
{
	auto task = CORBEL_EXPECT(make(type, {}));

	::dm_log_with_errno_init(keep_said);
	if (!::dm_task_set_major_minor(task.get(), static_cast<int>(major), static_cast<int>(minor),
				       0))
		return failed(task, fmt::format("{}:{}", major, minor));
	return task;
}

Result<std::string> send(const Task &task, const std::string &name, const std::string &text)
{
	if (!::dm_task_set_sector(task.get(), 0) ||
	    !::dm_task_set_message(task.get(), text.c_str()))
		return failed(task, name);
	CORBEL_EXPECT(run(task, name));
	const char *answer = ::dm_task_get_message_response(task.get());
	return std::string(answer ? answer : "");
}

Result<std::string> first_status(const Task &task, const std::string &name)
{
	std::uint64_t start = 0, length = 0;
	char *type = nullptr, *parameters = nullptr;

	CORBEL_EXPECT(run(task, name));
	(void)::dm_get_next_target(task.get(), nullptr, &start, &length, &type, &parameters);
	return std::string(parameters ? parameters : "");
}

class DeviceMapper final : public Mapper {
public:
	DeviceMapper()
	{
		::dm_log_with_errno_init(keep_said);
		::dm_lib_init();
		::dm_hold_control_dev(0);
	}
	~DeviceMapper() override { ::dm_lib_release(); }

	Result<std::vector<Mapped>> list() override
	{
		const std::lock_guard guard(library);
		std::vector<Mapped> found;
		const auto task = CORBEL_EXPECT(make(DM_DEVICE_LIST, {}));

		CORBEL_EXPECT(run(task, {}));
		auto *at = ::dm_task_get_names(task.get());
		if (!at || !at->dev)
			return found;
		for (;;) {
			if (auto one = look(at->name); one && one->uuid.starts_with(uuid_prefix))
				found.push_back(std::move(*one));
			if (!at->next)
				break;
			at = reinterpret_cast<dm_names *>(reinterpret_cast<char *>(at) + at->next);
		}
		return found;
	}

	Result<void> create(const std::string &name, const std::string &uuid,
			    const Table &table) override
	{
		const std::lock_guard guard(library);
		const auto task = CORBEL_EXPECT(make(DM_DEVICE_CREATE, name));

		if (!::dm_task_set_uuid(task.get(), uuid.c_str()))
			return failed(task, name);
		CORBEL_EXPECT(put(task, name, table));
		if (const auto made = run_with_node(task, name); !made)
			return knows_target(table.target)
				       ? made
				       : failure(ENOSYS,
						 fmt::format("The kernel has no target '{}' for "
							     "device-mapper: load dm-corbel.ko "
							     "(`corbel doctor` says what "
							     "stands in its way).",
							     table.target));
		return {};
	}

	Result<void> reload(const std::string &name, const Table &table) override
	{
		const std::lock_guard guard(library);
		const auto load = CORBEL_EXPECT(make(DM_DEVICE_RELOAD, name));

		CORBEL_EXPECT(put(load, name, table));
		CORBEL_EXPECT(run(load, name));
		/* It resumes with the new table, and suspends before. */
		return run_with_node(CORBEL_EXPECT(make(DM_DEVICE_RESUME, name)), name);
	}

	Result<void> remove(const std::string &name) override
	{
		const std::lock_guard guard(library);
		const auto task = CORBEL_EXPECT(make(DM_DEVICE_REMOVE, name));

		/* udev may have it open for a moment. */
		(void)::dm_task_retry_remove(task.get());
		return run_with_node(task, name);
	}

	Result<std::string> message(const std::string &name, const std::string &text) override
	{
		const std::lock_guard guard(library);

		return send(CORBEL_EXPECT(make(DM_DEVICE_TARGET_MSG, name)), name, text);
	}

	Result<std::string> status(const std::string &name) override
	{
		const std::lock_guard guard(library);

		return first_status(CORBEL_EXPECT(make(DM_DEVICE_STATUS, name)), name);
	}

private:
	/* The node is there, or gone, when it returns: udev's work where there is one. */
	static Result<void> run_with_node(const Task &task, const std::string &name)
	{
		std::uint32_t cookie = 0;

		if (!::dm_task_set_cookie(task.get(), &cookie, 0))
			return failed(task, name);
		const auto result = run(task, name);
		(void)::dm_udev_wait(cookie);
		::dm_task_update_nodes();
		return result;
	}

	static Result<void> put(const Task &task, const std::string &name, const Table &table)
	{
		if (!::dm_task_add_target(task.get(), 0, table.sectors, table.target.c_str(),
					  table.parameters.c_str()) ||
		    (table.read_only && !::dm_task_set_ro(task.get())))
			return failed(task, name);
		return {};
	}

	/* One that has gone meanwhile is none. */
	static std::optional<Mapped> look(const char *name)
	{
		const auto task = make(DM_DEVICE_INFO, name);
		dm_info info{};

		if (!task || !run(*task, name) || !::dm_task_get_info(task->get(), &info) ||
		    !info.exists)
			return std::nullopt;
		return Mapped{name, ::dm_task_get_uuid(task->get()),
			      fmt::format("{}:{}", info.major, info.minor),
			      static_cast<std::uint32_t>(std::max(info.open_count, 0))};
	}
};

} /* namespace */

std::unique_ptr<Mapper> make_mapper()
{
	return std::make_unique<DeviceMapper>();
}

Result<std::vector<Row>> table_of(unsigned major, unsigned minor)
{
	const std::lock_guard guard(library);
	std::vector<Row> rows;
	std::uint64_t first = 0, sectors = 0;
	char *target = nullptr, *parameters = nullptr;
	void *next = nullptr;

	const auto task = CORBEL_EXPECT(make(DM_DEVICE_TABLE, major, minor));
	CORBEL_EXPECT(run(task, fmt::format("{}:{}", major, minor)));
	do {
		next = ::dm_get_next_target(task.get(), next, &first, &sectors, &target,
					    &parameters);
		if (target)
			rows.push_back({first, sectors, target, parameters ? parameters : ""});
	} while (next);
	return rows;
}

Result<std::string> ask(unsigned major, unsigned minor, const std::string &message)
{
	const std::lock_guard guard(library);

	return send(CORBEL_EXPECT(make(DM_DEVICE_TARGET_MSG, major, minor)),
		    fmt::format("{}:{}", major, minor), message);
}

Result<std::string> status_of(unsigned major, unsigned minor)
{
	const std::lock_guard guard(library);

	return first_status(CORBEL_EXPECT(make(DM_DEVICE_STATUS, major, minor)),
			    fmt::format("{}:{}", major, minor));
}

} /* namespace corbel::volumes */
