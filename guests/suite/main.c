/*
 * The kernel of the suite that all personalities share. The first letter of its command line says what to do: "hello" and power off,
 * "restart", "panic", "crime", "sleep" for ever, "burn" instructions for ever, sleep for "ticks N", echo "lines" until one is "end", burn until "nmis N".
 */
#include "suite.h"
#include "text.h"

static char line[128];

static void say_number(const char *what, u32 value) {
  format(line, sizeof line, "%s %u\n", what, value);
  platform_say(line);
}

static void echo_lines(void) {
  static char typed[64];
  u32 length = 0;
  for (;;) {
    char bytes[16];
    u32 count = platform_read(bytes, sizeof bytes);
    for (u32 i = 0; i < count; i++) {
      if (bytes[i] != '\n') {
        if (length + 1 < sizeof typed)
          typed[length++] = bytes[i];
        continue;
      }
      typed[length] = '\0';
      length = 0;
      if (!strcmp(typed, "end"))
        return;
      format(line, sizeof line, "you said %s\n", typed);
      platform_say(line);
    }
  }
}

void suite_main(const char *command) {
  u32 count = 0;
  for (const char *at = command; *at; at++)
    if (*at == ' ')
      count = parse_number(at + 1, 0);
  format(line, sizeof line, "[%s]\n", command);
  platform_say(line);
  switch (command[0]) {
  case 'r':
    platform_restart();
  case 'p':
    platform_panic();
  case 'c':
    platform_break_a_rule();
  case 's':
    platform_sleep_for_ever();
  case 'b':
    for (;;)
      barrier();
  case 't':
    for (u32 i = 0; i < count; i++)
      platform_sleep(10000);
    say_number("ticks", count);
    break;
  case 'l':
    echo_lines();
    break;
  case 'n':
    while (platform_nmis() < count)
      barrier();
    say_number("nmis", platform_nmis());
    break;
  }
  platform_say("bye\n");
  platform_power_off();
}
