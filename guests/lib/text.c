/* Strings and formatted text without a C library. */
#include "text.h"

void *memcpy(void *to, const void *from, u32 bytes) {
  void *start = to;
  u32 words = bytes >> 2;
  __asm__ volatile("rep movsl; movl %3, %%ecx; rep movsb"
                   : "+D"(to), "+S"(from), "+c"(words)
                   : "r"(bytes & 3)
                   : "memory");
  return start;
}

void *memmove(void *to, const void *from, u32 bytes) {
  u8 *target = to;
  const u8 *source = from;
  if (target <= source)
    return memcpy(to, from, bytes);
  while (bytes--)
    target[bytes] = source[bytes];
  return to;
}

void *memset(void *to, int byte, u32 bytes) {
  void *start = to;
  u32 words = bytes >> 2;
  __asm__ volatile("rep stosl; movl %2, %%ecx; rep stosb"
                   : "+D"(to), "+c"(words)
                   : "r"(bytes & 3), "a"((byte & 0xff) * 0x01010101u)
                   : "memory");
  return start;
}

u32 strlen(const char *text) {
  u32 length = 0;
  while (text[length])
    length++;
  return length;
}

int strcmp(const char *left, const char *right) {
  while (*left && *left == *right)
    left++, right++;
  return (u8)*left - (u8)*right;
}

int strncmp(const char *left, const char *right, u32 max) {
  while (max && *left && *left == *right)
    left++, right++, max--;
  return max ? (u8)*left - (u8)*right : 0;
}

char *strstr(const char *text, const char *part) {
  u32 length = strlen(part);
  for (; *text; text++)
    if (!strncmp(text, part, length))
      return (char *)text;
  return NULL;
}

u32 parse_number(const char *text, u32 otherwise) {
  u32 base = 10, value = 0;
  if (text[0] == '0' && text[1] == 'x') {
    base = 16;
    text += 2;
  }
  if (!*text)
    return otherwise;
  for (; *text; text++) {
    u32 digit = *text >= 'a' ? *text - 'a' + 10u : *text - '0' + 0u;
    if (digit >= base)
      return otherwise;
    value = value * base + digit;
  }
  return value;
}

/* Where the formatter writes: a bounded buffer that counts what it was given. */
struct sink {
  char *buffer;
  u32 size, length;
};

static void put(struct sink *sink, char c) {
  if (sink->length + 1 < sink->size)
    sink->buffer[sink->length++] = c;
}

static void put_padded(struct sink *sink, const char *text, u32 length, u32 width, char pad, int left) {
  u32 fill = width > length ? width - length : 0;
  while (!left && fill) {
    put(sink, pad);
    fill--;
  }
  while (length--)
    put(sink, *text++);
  while (fill--)
    put(sink, ' ');
}

static void put_number(struct sink *sink, u64 value, u32 base, int negative, int grouped, u32 width,
                       char pad, int left) {
  char digits[32];
  u32 at = sizeof digits, count = 0;
  do {
    u32 digit;
    if (grouped && count && count % 3 == 0)
      digits[--at] = ',';
    value = divide(value, base, &digit);
    digits[--at] = "0123456789abcdef"[digit];
    count++;
  } while (value);
  if (negative)
    digits[--at] = '-';
  put_padded(sink, digits + at, sizeof digits - at, width, pad, left);
}

u32 vformat(char *buffer, u32 size, const char *pattern, __builtin_va_list arguments) {
  struct sink sink = {buffer, size, 0};
  for (; *pattern; pattern++) {
    if (*pattern != '%') {
      put(&sink, *pattern);
      continue;
    }
    int left = 0, grouped = 0, wide = 0;
    char pad = ' ';
    u32 width = 0;
    for (pattern++;; pattern++) {
      if (*pattern == '-')
        left = 1;
      else if (*pattern == '\'')
        grouped = 1;
      else if (*pattern == '0')
        pad = '0';
      else
        break;
    }
    for (; *pattern >= '0' && *pattern <= '9'; pattern++)
      width = width * 10 + (*pattern - '0');
    for (; *pattern == 'l'; pattern++)
      wide++;
    switch (*pattern) {
    case 'd': {
      s64 value = wide > 1 ? __builtin_va_arg(arguments, s64) : __builtin_va_arg(arguments, s32);
      put_number(&sink, value < 0 ? -value : value, 10, value < 0, grouped, width, pad, left);
      break;
    }
    case 'p':
    case 'u':
    case 'x': {
      u64 value = wide > 1 ? __builtin_va_arg(arguments, u64) : __builtin_va_arg(arguments, u32);
      if (*pattern == 'p')
        width = 8, pad = '0';
      put_number(&sink, value, *pattern == 'u' ? 10 : 16, 0, grouped, width, pad, left);
      break;
    }
    case 'c':
      put(&sink, (char)__builtin_va_arg(arguments, int));
      break;
    case 's': {
      const char *text = __builtin_va_arg(arguments, const char *);
      put_padded(&sink, text, strlen(text), width, ' ', left);
      break;
    }
    case '\0':
      pattern--;
      break;
    default:
      put(&sink, *pattern);
    }
  }
  if (size)
    buffer[sink.length] = '\0';
  return sink.length;
}

u32 format(char *buffer, u32 size, const char *pattern, ...) {
  __builtin_va_list arguments;
  __builtin_va_start(arguments, pattern);
  u32 length = vformat(buffer, size, pattern, arguments);
  __builtin_va_end(arguments);
  return length;
}
