/* Guest 100: the shell, the first and only program. It reads lines, and runs each command in a child of its own, so that
 * every command exercises fork, copy-on-write, exit and wait, and none can harm the shell.
 *
 * "run=a;b;c" on the kernel's command line gives it those commands first; a last one of "poweroff" makes the
 * whole machine a batch job.
 */
#include "user.h"

#define LINE_BYTES 256
#define WORDS_MAX 16
#define HISTORY 16

static char history[HISTORY][LINE_BYTES];
static u32 history_count;

static int get_char(void) {
  static char buffer[64];
  static int length, at;
  if (at == length) {
    length = system_call(SYS_read, (u32)buffer, sizeof buffer, 0);
    at = 0;
  }
  return length > 0 ? (u8)buffer[at++] : -1;
}

enum { KEY_UP = 256, KEY_DOWN, KEY_RIGHT, KEY_LEFT, KEY_HOME, KEY_END, KEY_DELETE };

/* One key; the escape sequences of cursor keys become one code each. */
static int get_key(void) {
  int c = get_char();
  if (c != 0x1b)
    return c;
  c = get_char();
  if (c != '[' && c != 'O')
    return 0;
  c = get_char();
  if (c >= '0' && c <= '9') {
    int digit = c;
    while ((c = get_char()) != '~' && c >= 0)
      ;
    return digit == '3' ? KEY_DELETE : digit == '1' ? KEY_HOME : digit == '4' ? KEY_END : 0;
  }
  switch (c) {
  case 'A': return KEY_UP;
  case 'B': return KEY_DOWN;
  case 'C': return KEY_RIGHT;
  case 'D': return KEY_LEFT;
  case 'H': return KEY_HOME;
  case 'F': return KEY_END;
  }
  return 0;
}

/* Draws the line from column `from` on and leaves the cursor at `at`; `old` is how long it was on the screen. */
static void redraw(const char *line, u32 from, u32 at, u32 old) {
  u32 length = strlen(line), shown = length > old ? length : old;
  write_text(line + from, length - from);
  for (u32 i = length; i < old; i++)
    write_text(" ", 1);
  for (u32 i = shown; i > at; i--)
    write_text("\b", 1);
}

static void replace(char *line, u32 *at, const char *with) {
  u32 old = strlen(line);
  for (; *at; --*at)
    write_text("\b", 1);
  format(line, LINE_BYTES, "%s", with);
  *at = strlen(line);
  redraw(line, 0, *at, old);
}

/* Reads one line with the usual keys; returns its length, -1 when the input ended or ^C dropped the line. */
int edit_line(char *line, u32 size) {
  u32 at = 0, past = history_count;
  line[0] = '\0';
  for (;;) {
    int key = get_key();
    u32 length = strlen(line);
    switch (key) {
    case '\r':
    case '\n':
      write_text("\n", 1);
      return length;
    case 3: /* ^C */
      write_text("^C\n", 3);
      return -1;
    case 4: /* ^D on an empty line is the end, as in any shell */
      if (!length) {
        write_text("\n", 1);
        reboot(REBOOT_POWER_OFF);
      }
      break;
    case 1: /* ^A */
    case KEY_HOME:
      for (; at; at--)
        write_text("\b", 1);
      break;
    case 5: /* ^E */
    case KEY_END:
      write_text(line + at, length - at);
      at = length;
      break;
    case 11: /* ^K */
      line[at] = '\0';
      redraw(line, at, at, length);
      break;
    case 12: /* ^L */
      print("\033[H\033[2J$ %s", line);
      for (u32 i = length; i > at; i--)
        write_text("\b", 1);
      break;
    case 21: /* ^U */
      replace(line, &at, "");
      break;
    case 8:
    case 127:
      if (!at)
        break;
      memmove(line + at - 1, line + at, length - at + 1);
      at--;
      write_text("\b", 1);
      redraw(line, at, at, length);
      break;
    case KEY_DELETE:
      if (at == length)
        break;
      memmove(line + at, line + at + 1, length - at);
      redraw(line, at, at, length);
      break;
    case KEY_LEFT:
      if (at) {
        at--;
        write_text("\b", 1);
      }
      break;
    case KEY_RIGHT:
      if (at < length)
        write_text(line + at++, 1);
      break;
    case KEY_UP:
      if (past && history_count - past < HISTORY - 1)
        replace(line, &at, history[--past % HISTORY]);
      break;
    case KEY_DOWN:
      if (past < history_count)
        past++;
      replace(line, &at, past < history_count ? history[past % HISTORY] : "");
      break;
    default:
      if (key < ' ' || key > 126 || length + 1 >= size)
        break;
      memmove(line + at + 1, line + at, length - at + 1);
      line[at] = key;
      redraw(line, at, at + 1, length);
      at++;
    }
  }
}

static const struct command *find_command(const char *name) {
  for (u32 i = 0; i < command_count; i++)
    if (!strcmp(commands[i].name, name))
      return &commands[i];
  return NULL;
}

/* Cuts a line into words, finds the command, and runs it; returns its status. */
int run_line(char *line) {
  char *words[WORDS_MAX];
  int count = 0, status = 0;
  while (*line && count < WORDS_MAX) {
    while (*line == ' ')
      *line++ = '\0';
    if (!*line)
      break;
    words[count++] = line;
    while (*line && *line != ' ')
      line++;
  }
  if (!count)
    return 0;
  const struct command *command = find_command(words[0]);
  if (!command) {
    print("%s: no such command; try help\n", words[0]);
    return 127;
  }
  if (command->in_shell)
    return command->run(count, words);
  int child = fork();
  if (child == 0) {
    set_name(command->name);
    exit(command->run(count, words));
  }
  if (child < 0) {
    print("%s: no room for another process\n", words[0]);
    return 126;
  }
  while (wait(&status) != child)
    ;
  if (trap_name(status))
    print("%s: ended by a %s\n", words[0], trap_name(status));
  return status;
}

/* The commands of run=..., up to the end of the command line or a double quote that closes it. */
static void run_batch(void) {
  char text[512], *at, *end;
  system_call(SYS_cmdline, (u32)text, sizeof text, 0);
  text[sizeof text - 1] = '\0';
  at = strstr(text, "run=");
  if (!at)
    return;
  for (at += 4; *at; at = end) {
    while (*at == '"' || *at == ';')
      at++;
    for (end = at; *end && *end != ';' && *end != '"'; end++)
      ;
    char line[LINE_BYTES];
    format(line, sizeof line < (u32)(end - at) + 1 ? sizeof line : (u32)(end - at) + 1, "%s", at);
    if (!line[0])
      return;
    print("$ %s\n", line);
    run_line(line);
  }
}

int main(void) {
  char line[LINE_BYTES];
  print("\nA shell at ring 3, pid %d. Type help for what there is to see.\n", getpid());
  run_batch();
  for (;;) {
    write_text("$ ", 2);
    int length = edit_line(line, sizeof line);
    if (length <= 0)
      continue;
    format(history[history_count++ % HISTORY], LINE_BYTES, "%s", line);
    run_line(line);
  }
}
