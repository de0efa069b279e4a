/* A PKCS#11 module for tests: it passes every call on to the module that FAULTY_MODULE names, and misbehaves as FAULTY
 * says. Only what it changes is declared here; the rest of the function list is passed on as it is (PKCS#11 version 2.40,
 * section 3.6). */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef unsigned long ulong;
typedef ulong (*call)();

/* CK_FUNCTION_LIST: a version, then 68 functions; their order is that of the standard. */
struct list { unsigned char version[2]; call functions[68]; };
enum { get_function_list = 3, get_token_info = 6, login = 18, get_attribute_value = 24, find_objects_init = 26,
       sign_init = 42, sign = 43, sign_update = 44, sign_final = 45, generate_key_pair = 59 };
struct attribute { ulong type; void *value; ulong len; };
struct mechanism { ulong mechanism; void *parameter; ulong len; };

enum { GENERAL_ERROR = 5, ATTRIBUTE_VALUE_INVALID = 0x13, DEVICE_REMOVED = 0x32, PIN_LOCKED = 0xa4,
       USER_NOT_LOGGED_IN = 0x101, OPERATION_NOT_INITIALIZED = 0x91 };
enum { CLASS = 0, TOKEN = 1, PRIVATE = 2, VALUE = 0x11, EXTRACTABLE = 0x162, SENSITIVE = 0x103, ALWAYS_AUTHENTICATE = 0x202, EC_PARAMS = 0x180,
       EC_POINT = 0x181 };
enum { PUBLIC_KEY = 2, CONTEXT_SPECIFIC = 2 };

static struct list *real;
static struct list ours;
static const unsigned char oid[] = { 6, 3, 0x2b, 0x65, 0x70 };
static const unsigned char name[] = "\x13\x0c" "edwards25519";
static unsigned char pending[8192];
static ulong pending_len, unlocked;

static int is(const char *fault)
{
    const char *set = getenv("FAULTY");
    return set && !strcmp(set, fault);
}

static ulong our_get_token_info(ulong slot, unsigned char *info)
{
    ulong result = real->functions[get_token_info](slot, info);
    /* flags stand after label (32), maker (32), model (16) and serial number (16) */
    ulong *flags = (ulong *)(info + 96);
    if (result == 0 && is("last-try"))
        *flags |= 0x20000;
    if (result == 0 && is("locked"))
        *flags |= 0x40000;
    return result;
}

static ulong our_login(ulong session, ulong user, void *pin, ulong len)
{
    if (is("lock-at-login"))
        return PIN_LOCKED;
    if (user == CONTEXT_SPECIFIC) {
        unlocked = is("pin-each-time") && len == 4 && !memcmp(pin, "1234", 4);
        return unlocked ? 0 : GENERAL_ERROR;
    }
    return real->functions[login](session, user, pin, len);
}

static ulong answer(struct attribute *attribute, ulong room, const void *value, ulong len)
{
    if (attribute->value && room >= len)
        memcpy(attribute->value, value, len);
    attribute->len = len;
    return 0;
}

/* The attribute as the real module has it; 0 when it has none. */
static ulong ask(ulong session, ulong object, ulong type, unsigned char *value, ulong room)
{
    struct attribute whole = { type, value, room };
    return real->functions[get_attribute_value](session, object, &whole, 1ul) == 0 ? whole.len : 0;
}

static ulong our_get_attribute_value(ulong session, ulong object, struct attribute *wanted, ulong count)
{
    static const unsigned char yes = 1, no = 0, other_curve[] = { 6, 3, 0x2b, 0x65, 0x71 };
    unsigned char params[64], point[64];
    ulong rooms[64], result, index;
    if (count > 64)
        return GENERAL_ERROR;
    for (index = 0; index < count; index++)
        rooms[index] = wanted[index].len;
    result = real->functions[get_attribute_value](session, object, wanted, count);
    for (index = 0; index < count; index++) {
        struct attribute *each = wanted + index;
        ulong room = rooms[index];
        if (each->type == VALUE && is("tells"))
            fprintf(stderr, "CKA_VALUE: %#lx\n", result);
        if (each->type == EXTRACTABLE && is("extractable"))
            answer(each, room, &yes, 1);
        if (each->type == SENSITIVE && is("not-sensitive"))
            answer(each, room, &no, 1);
        if (each->type == PRIVATE && is("not-private"))
            answer(each, room, &no, 1);
        if (each->type == TOKEN && is("not-in-token"))
            answer(each, room, &no, 1);
        if (each->type == ALWAYS_AUTHENTICATE && is("pin-each-time"))
            answer(each, room, &yes, 1);
        if (each->type == VALUE && is("readable"))
            result = answer(each, room, point, 32);
        if (each->type == EC_PARAMS && is("other-encodings") && ask(session, object, EC_PARAMS, params, sizeof params))
            result = answer(each, room, oid, sizeof oid);
        if (each->type == EC_PARAMS && is("other-curve") && ask(session, object, EC_PARAMS, params, sizeof params))
            result = answer(each, room, other_curve, sizeof other_curve);
        if (each->type == EC_POINT && is("other-encodings") && ask(session, object, EC_POINT, point, sizeof point) == 34)
            result = answer(each, room, point + 2, 32);
        if (each->type == EC_POINT && is("short-point") && ask(session, object, EC_POINT, point, sizeof point))
            result = answer(each, room, point, 31);
    }
    return result;
}

static ulong our_find_objects_init(ulong session, struct attribute *template, ulong count)
{
    static ulong nothing = 0x80000000;
    struct attribute none = { CLASS, &nothing, sizeof nothing };
    if (is("no-public-half") && count && template[0].type == CLASS && *(ulong *)template[0].value == PUBLIC_KEY)
        return real->functions[find_objects_init](session, &none, 1ul);
    return real->functions[find_objects_init](session, template, count);
}

static ulong our_sign_init(ulong session, struct mechanism *mechanism, ulong key)
{
    const char *tokens = getenv("FAULTY_TOKENS");
    char away[4096];
    /* The token is pulled between the login and the signature. */
    if (is("pulled") && tokens) {
        snprintf(away, sizeof away, "%s.away", tokens);
        rename(tokens, away);
    }
    pending_len = 0;
    return real->functions[sign_init](session, mechanism, key);
}

static ulong our_sign(ulong session, unsigned char *data, ulong len, unsigned char *signature, ulong *signature_len)
{
    ulong result;
    if (is("removed"))
        return DEVICE_REMOVED;
    if (is("fails"))
        return GENERAL_ERROR;
    if (is("pin-each-time") && !unlocked)
        return USER_NOT_LOGGED_IN;
    result = real->functions[sign](session, data, len, signature, signature_len);
    if (result == 0 && signature && is("foreign"))
        signature[40] ^= 1;
    if (result == 0 && signature && is("short"))
        *signature_len = 63;
    return result;
}

/* In parts, as a key wants it that asks for the PIN each time. */
static ulong our_sign_update(ulong session, unsigned char *part, ulong len)
{
    (void)session;
    if (!unlocked)
        return USER_NOT_LOGGED_IN;
    if (len > sizeof pending - pending_len)
        return GENERAL_ERROR;
    memcpy(pending + pending_len, part, len);
    pending_len += len;
    return 0;
}

static ulong our_sign_final(ulong session, unsigned char *signature, ulong *signature_len)
{
    ulong result;
    if (!unlocked)
        return OPERATION_NOT_INITIALIZED;
    result = our_sign(session, pending, pending_len, signature, signature_len);
    unlocked = signature == 0;
    return result;
}

/* A token that takes one encoding of the curve; the module below takes whichever it takes. */
static ulong our_generate_key_pair(ulong session, struct mechanism *mechanism, struct attribute *public, ulong public_count,
                                   struct attribute *private, ulong private_count, ulong *public_key, ulong *private_key)
{
    ulong index;
    for (index = 0; index < public_count; index++) {
        struct attribute *each = public + index;
        int is_oid = each->len == sizeof oid;
        if (each->type != EC_PARAMS)
            continue;
        if (is("no-curve") || (is("oid-only") && !is_oid) || (is("name-only") && is_oid))
            return ATTRIBUTE_VALUE_INVALID;
        if (is("oid-only")) {
            each->value = (void *)name;
            each->len = sizeof name - 1;
        }
    }
    return real->functions[generate_key_pair](session, mechanism, public, public_count, private, private_count, public_key,
                                              private_key);
}

ulong C_GetFunctionList(struct list **list)
{
    void *module = dlopen(getenv("FAULTY_MODULE"), RTLD_NOW);
    call get = module ? (call)dlsym(module, "C_GetFunctionList") : 0;
    ulong result = get ? get(&real) : GENERAL_ERROR;
    if (result != 0)
        return result;
    ours = *real;
    ours.functions[get_function_list] = (call)C_GetFunctionList;
    ours.functions[get_token_info] = (call)our_get_token_info;
    ours.functions[login] = (call)our_login;
    ours.functions[get_attribute_value] = (call)our_get_attribute_value;
    ours.functions[find_objects_init] = (call)our_find_objects_init;
    ours.functions[sign_init] = (call)our_sign_init;
    ours.functions[sign] = (call)our_sign;
    ours.functions[sign_update] = (call)our_sign_update;
    ours.functions[sign_final] = (call)our_sign_final;
    ours.functions[generate_key_pair] = (call)our_generate_key_pair;
    *list = &ours;
    return 0;
}
