/*
 * What a kernel of any personality can do for the shared suite. main.c follows its command line by these; each platform-*.c supplies them.
 */
#ifndef SUITE_H
#define SUITE_H

#include "types.h"

/* Follows the command line, and does not come back. */
void suite_main(const char *command) __attribute__((noreturn));

void platform_say(const char *text);
u32 platform_read(char *bytes, u32 size); /* what was typed, at least one byte; sleeps until there is some */
void platform_sleep(u32 microseconds);    /* halted, with a timer to wake it */
void platform_sleep_for_ever(void) __attribute__((noreturn));
u32 platform_nmis(void);                  /* how many came so far */
void platform_power_off(void) __attribute__((noreturn));
void platform_restart(void) __attribute__((noreturn));
void platform_panic(void) __attribute__((noreturn));
void platform_break_a_rule(void) __attribute__((noreturn));

#endif
