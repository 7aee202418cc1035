// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A guest without an operating system, for `-kernel`, that looks at all of its memory for ever.
 *
 * Each page from 4 MiB on has contents that follow from its number and its generation; the
 * generations are kept apart. A step takes a page, mostly of the first sixteenth, compares all
 * of it, and writes mostly its next generation. One page in eight is always zero, one
 * compresses well. With an IDE disk (second channel; a parameter `disk`) it does the like with
 * its sectors.
 *
 * Every eighth step is told to the debug port 0xe9 as a byte that counts: whoever notes when
 * these come sees for how long the guest stood still. Its bit 7 is set from the first wrong
 * word on. The serial port is for questions: `s` is answered by a line `steps N wrong N`, `a`
 * by one like it once all of its memory and all sectors have been compared; each other byte is
 * sent back.
 */
#include <stdint.h>

namespace {

constexpr uint32_t page_words = 1024, most_pages = 1 << 18;
constexpr uint32_t first_byte = 4 << 20;
constexpr uint32_t sectors = 32;

uint32_t generations[most_pages];
uint32_t sector_generations[sectors];
uint32_t steps, wrong, seed = 1;
uint16_t buffer[256];

void out(uint16_t port, uint8_t value)
{
	asm volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

uint8_t in(uint16_t port)
{
	uint8_t value;

	asm volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

uint32_t random()
{
	seed ^= seed << 13;
	seed ^= seed >> 17;
	seed ^= seed << 5;
	return seed;
}

/* ---- memory ------------------------------------------------------------------------ */

enum class kind { mixed, same, zero };

kind kind_of(uint32_t page)
{
	return page % 8 == 7 ? kind::zero : page % 8 == 6 ? kind::same : kind::mixed;
}

volatile uint32_t *words_of(uint32_t page)
{
	return reinterpret_cast<volatile uint32_t *>(first_byte + page * page_words * 4);
}

struct words {
	uint32_t value, by;

	explicit words(uint32_t page)
		: value(kind_of(page) == kind::zero
				? 0
				: (page * 0x9e3779b9) ^ (generations[page] * 0x85ebca6b)),
		  by(kind_of(page) == kind::mixed ? 0xc2b2ae35 : 0)
	{}

	uint32_t next() { return value = (value << 7 | value >> 25) + by; }
};

void write(uint32_t page)
{
	volatile uint32_t *const to = words_of(page);
	words next(page);

	for (uint32_t i = 0; i < page_words; i++)
		to[i] = next.next();
}

void compare(uint32_t page)
{
	const volatile uint32_t *const from = words_of(page);
	words next(page);

	for (uint32_t i = 0; i < page_words; i++)
		if (from[i] != next.next())
			wrong++;
}

void step_in_memory(uint32_t pages)
{
	const bool hot = random() % 4 != 0;
	const uint32_t page = random() % (hot ? pages / 16 : pages);

	compare(page);
	if (hot || random() % 4 == 0) {
		generations[page]++;
		write(page);
	}
}

/* ---- the disk ---------------------------------------------------------------------- */

constexpr uint16_t ide = 0x170; /* the second channel, where `-device ide-hd` goes */
constexpr uint8_t ide_busy = 0x80, ide_wants_data = 0x08, ide_failed = 0x01;

void wait_disk(uint8_t want)
{
	uint8_t status;

	do
		status = in(ide + 7);
	while (status & ide_busy || ((status & want) != want && !(status & ide_failed)));
	if (status & ide_failed)
		wrong++;
}

void command_disk(uint8_t command, uint32_t sector)
{
	wait_disk(0);
	out(ide + 6, 0xe0);
	out(ide + 2, 1);
	out(ide + 3, static_cast<uint8_t>(sector));
	out(ide + 4, static_cast<uint8_t>(sector >> 8));
	out(ide + 5, 0);
	out(ide + 7, command);
	wait_disk(ide_wants_data);
}

uint16_t word_of(uint32_t sector, uint32_t i)
{
	return static_cast<uint16_t>(
		(sector * 0x9e3779b9 ^ sector_generations[sector] * 0x85ebca6b) >> (i % 16));
}

void write_sector(uint32_t sector)
{
	const uint16_t *from = buffer;
	uint32_t count = 256;

	for (uint32_t i = 0; i < 256; i++)
		buffer[i] = word_of(sector, i);
	command_disk(0x30, sector);
	asm volatile("rep outsw" : "+S"(from), "+c"(count) : "d"(ide) : "memory");
	wait_disk(0);
}

void compare_sector(uint32_t sector)
{
	uint16_t *to = buffer;
	uint32_t count = 256;

	command_disk(0x20, sector);
	asm volatile("rep insw" : "+D"(to), "+c"(count) : "d"(ide) : "memory");
	for (uint32_t i = 0; i < 256; i++)
		if (buffer[i] != word_of(sector, i))
			wrong++;
}

void step_on_disk()
{
	const uint32_t sector = random() % sectors;

	compare_sector(sector);
	sector_generations[sector]++;
	write_sector(sector);
}

/* ---- the serial port --------------------------------------------------------------- */

constexpr uint16_t serial = 0x3f8;

void say(char c)
{
	while (!(in(serial + 5) & 0x20))
		;
	out(serial, static_cast<uint8_t>(c));
}

void say(const char *text)
{
	while (*text)
		say(*text++);
}

void say(uint32_t number)
{
	if (number >= 10)
		say(number / 10);
	say(static_cast<char>('0' + number % 10));
}

void answer(uint32_t pages, bool disk)
{
	if (!(in(serial + 5) & 1))
		return;
	const char asked = static_cast<char>(in(serial));
	if (asked != 's' && asked != 'a')
		return say(asked);
	for (uint32_t page = 0; asked == 'a' && page < pages; page++)
		compare(page);
	for (uint32_t sector = 0; asked == 'a' && disk && sector < sectors; sector++)
		compare_sector(sector);
	say("steps ");
	say(steps);
	say(" wrong ");
	say(wrong);
	say("\n");
}

bool has_disk(const char *parameters)
{
	for (; *parameters; parameters++)
		if (parameters[0] == 'd' && parameters[1] == 'i' && parameters[2] == 's' &&
		    parameters[3] == 'k')
			return true;
	return false;
}

} /* namespace */

/* What a boot loader hands over, by the Multiboot Specification 0.6.96. */
struct multiboot_info {
	uint32_t flags, lower_kib, upper_kib, boot_device;
	const char *parameters;
};

extern "C" [[noreturn]] void run(const multiboot_info *info)
{
	/* It is counted from 1 MiB on, and the last MiB is the firmware's. */
	const uint32_t end = info->upper_kib << 10;
	uint32_t pages = (end - first_byte) / (page_words * 4);
	const bool disk = info->flags & 4 && has_disk(info->parameters);

	if (pages > most_pages)
		pages = most_pages;
	for (uint32_t page = 0; page < pages; page++)
		write(page);
	for (uint32_t sector = 0; disk && sector < sectors; sector++)
		write_sector(sector);
	say("ready\n");
	for (;;) {
		step_in_memory(pages);
		if (disk && steps % 512 == 0)
			step_on_disk();
		if (++steps % 8 == 0) {
			out(0xe9, static_cast<uint8_t>((steps / 8 & 0x7f) | (wrong ? 0x80 : 0)));
			answer(pages, disk);
		}
	}
}

asm(R"(
	.section .multiboot, "a"
	.align 4
	.long 0x1badb002, 2, -(0x1badb002 + 2)
	.text
	.globl start
start:
	cli
	cld
	mov $stack_end, %esp
	xor %ebp, %ebp
	push %ebx
	call run
	.bss
	.align 16
	.skip 16384
stack_end:
)");
