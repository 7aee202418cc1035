// SPDX-License-Identifier: GPL-2.0-or-later
#include "schema_check.hh"

#include <sstream>
#include <stdexcept>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
/* What g++ says of std::regex under sanitizers (GCC bug 105562). */
#pragma GCC diagnostic push
#ifndef __clang__
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <valijson/adapters/nlohmann_json_adapter.hpp>
#include <valijson/schema.hpp>
#include <valijson/schema_parser.hpp>
#include <valijson/validation_results.hpp>
#include <valijson/validator.hpp>

namespace corbel::test {

namespace {

using valijson::adapters::NlohmannJsonAdapter;

std::string faults_of(valijson::ValidationResults &results)
{
	std::string text;
	valijson::ValidationResults::Error error;

	while (results.popError(error))
		text += fmt::format("{}: {}\n", fmt::join(error.context, ""), error.description);
	return text;
}

std::string check(const valijson::Schema &schema, const std::string &document)
{
	const auto json = nlohmann::json::parse(document, nullptr, false);

	if (json.is_discarded())
		return fmt::format("this is no JSON: {}", document);
	valijson::Validator validator;
	valijson::ValidationResults results;
	if (validator.validate(schema, NlohmannJsonAdapter(json), &results))
		return {};
	return faults_of(results);
}

/* Empty if @text is one; else why not. */
std::string read_schema(const std::string &text, valijson::Schema &schema)
{
	const auto json = nlohmann::json::parse(text, nullptr, false);

	if (json.is_discarded())
		return "the schema is no JSON";
	try {
		valijson::SchemaParser().populateSchema(NlohmannJsonAdapter(json), schema);
	} catch (const std::runtime_error &error) {
		return fmt::format("the schema is none: {}", error.what());
	}
	return {};
}

} /* namespace */

std::string find_fault(const std::string &schema_text, const std::string &document)
{
	valijson::Schema schema;
	auto fault = read_schema(schema_text, schema);

	return fault.empty() ? check(schema, document) : fault;
}

std::string find_fault_in_lines(const std::string &schema_text, const std::string &lines)
{
	valijson::Schema schema;
	auto fault = read_schema(schema_text, schema);
	std::istringstream input(lines);
	unsigned number = 0;

	for (std::string line; fault.empty() && std::getline(input, line);) {
		number++;
		if (auto wrong = check(schema, line); !wrong.empty())
			fault = fmt::format("line {}: {}\n{}", number, line, wrong);
	}
	return number || !fault.empty() ? fault : "there is not a line";
}

} /* namespace corbel::test */
#pragma GCC diagnostic pop
