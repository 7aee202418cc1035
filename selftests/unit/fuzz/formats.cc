/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * libFuzzer target: what the daemon reads that others may have written. The first byte says
 * as what the rest is read; what could be read and can be written again must be the same
 * when it is read once more.
 */
#include <jobs/job.hh>
#include <qemu/description.hh>
#include <qemu/facts.hh>
#include <qemu/qmp_message.hh>
#include <qemu/runtime.hh>
#include <qemu/socket_table.hh>
#include <trust/peer.hh>
#include <trust/token.hh>

#include <libcorbel/text_file.hh>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <unistd.h>

#include <openssl/evp.h>
#include <zlib.h>

using namespace corbel;

namespace {

void require(bool condition, const char *what)
{
	if (condition)
		return;
	std::fprintf(stderr, "a format broke its word: %s\n", what);
	std::abort();
}

void read_description(std::string_view text)
{
	const auto vm = qemu::description_of(text, "fuzz", qemu::FileCheck::no);

	if (!vm) {
		require(!vm.error().sentence.empty(), "an error says what is wrong");
		return;
	}
	require(qemu::is_vm_name(vm->name), "a VM has a name");
	const auto again =
		qemu::description_of(qemu::json_of(*vm).dump(), "json", qemu::FileCheck::no);
	require(again.has_value() && *again == *vm, "a description is what is kept of it");
}

/* The first byte says in what pieces it comes. */
void read_qmp(std::string_view text)
{
	qemu::QmpLines lines;
	const std::size_t most =
		text.empty() ? 1 : static_cast<unsigned char>(text[0]) + std::size_t{1};

	while (!text.empty()) {
		const auto piece = text.substr(0, most);

		text.remove_prefix(piece.size());
		require(lines.add(piece).has_value(), "short lines are taken");
		while (const auto line = lines.next()) {
			require(line->find('\n') == line->npos, "a line is one line");
			const auto message = qemu::parse_qmp(*line);
			if (!message)
				require(!message.error().sentence.empty(), "an error says why");
		}
	}
}

void read_command_line(std::string_view text)
{
	(void)qemu::facts_of_arguments(text);
}

void read_socket_table(std::string_view text)
{
	const qemu::SocketTable table(text);

	(void)table.use_of("/run/qmp");
}

/* As it is pasted. */
void read_token(std::string_view text)
{
	const auto token = trust::token_of(text);

	if (!token)
		return;
	const auto again = trust::token_of(trust::text_of(*token));
	require(again.has_value() && *again == *token, "a token is what it is written as");
}

/* The checksum of which is right. */
void read_forged_token(std::string_view bytes)
{
	std::string all(bytes.substr(0, 600));
	const auto sum = ::crc32_z(0, reinterpret_cast<const Bytef *>(all.data()), all.size());

	for (const unsigned shift : {24U, 16U, 8U, 0U})
		all += static_cast<char>(sum >> shift & 0xff);
	std::string text(all.size() / 3 * 4 + 5, '\0');
	const int size = ::EVP_EncodeBlock(reinterpret_cast<unsigned char *>(text.data()),
					   reinterpret_cast<const unsigned char *>(all.data()),
					   static_cast<int>(all.size()));
	text.resize(static_cast<std::size_t>(size));
	text.resize(std::min(text.find('='), text.size()));
	for (char &c : text)
		c = c == '+' ? '-' : c == '/' ? '_' : c;
	read_token("corbel1-" + text);
}

void read_job(std::string_view text)
{
	const auto job = jobs::job_of(std::string(text));

	if (!job)
		return;
	const auto written = jobs::json_of(*job).dump();
	const auto again = jobs::job_of(written);
	require(again.has_value() && jobs::json_of(*again).dump() == written,
		"a job is what is kept of it");
}

void read_peer(std::string_view text)
{
	if (const auto peer = trust::peer_of(std::string(text)))
		require(trust::peer_of(trust::json_of(*peer).dump()).has_value(),
			"a peer is what is kept of it");
}

void read_certificate(std::string_view text)
{
	if (const auto certificate = trust::Certificate::of_pem(text)) {
		(void)certificate->check_authority();
		(void)certificate->check_leaf();
		(void)certificate->name();
		(void)certificate->host_id();
		(void)certificate->not_before();
		(void)certificate->not_after();
		require(trust::Certificate::of_pem(certificate->pem()).has_value(),
			"a certificate is what it is written as");
	}
	if (const auto list = trust::RevocationList::of_pem(text))
		(void)list->when("00");
	(void)trust::key_of_pem(text);
}

void read_address(std::string_view text)
{
	const auto address = trust::address_of(text);

	if (!address)
		return;
	const auto again = trust::address_of(trust::text_of(*address));
	require(again.has_value() && *again == *address, "an address is what it is written as");
}

struct RuntimeFolder {
	RuntimeFolder()
	{
		require(::mkdtemp(name.data()), "a folder can be made");
		std::filesystem::create_directories(name + "/vm");
	}
	~RuntimeFolder() { std::filesystem::remove_all(name); }

	std::string name = std::filesystem::temp_directory_path() / "corbel-fuzz-XXXXXX";
};

void read_launch(std::string_view text)
{
	static const RuntimeFolder folder;
	const qemu::Runtime runtime(folder.name, "vm");

	std::ofstream(runtime.file("launch.json"), std::ios::binary) << text;
	if (const auto launch = runtime.launch())
		require(launch->pid > 0, "a process has a number");
}

constexpr std::array readers{
	read_description, read_qmp,	     read_command_line, read_socket_table,
	read_token,	  read_forged_token, read_job,		read_peer,
	read_certificate, read_address,	     read_launch,
};

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size)
{
	if (size == 0)
		return 0;
	readers[data[0] % readers.size()]({reinterpret_cast<const char *>(data) + 1, size - 1});
	return 0;
}
