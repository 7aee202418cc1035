// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * schema-check VERB... <output - is that what `corbel schema VERB...` promises of
 * `corbel VERB... --json`? Exit status 0, or 1 and what is wrong.
 */
#include "../../corbel/verb.hh"
#include "../schema_check.hh"

#include <iostream>
#include <iterator>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

int main(int argc, char **argv)
{
	using namespace corbel;
	const std::vector<std::string> words(argv + 1, argv + argc);
	const auto verb = cli::verb_of(words);

	if (!verb || !(*verb)->schema) {
		std::cerr << "schema-check: no schema of '" << (verb ? "" : verb.error().sentence)
			  << "'\n";
		return 2;
	}
	const std::string document(std::istreambuf_iterator<char>(std::cin), {});
	const auto schema = cli::dump((*verb)->schema());
	const auto fault = (*verb)->output == cli::Output::lines
				   ? test::find_fault_in_lines(schema, document)
				   : test::find_fault(schema, document);

	std::cout << fault;
	return fault.empty() ? 0 : 1;
}
