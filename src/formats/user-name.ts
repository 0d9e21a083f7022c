/** The names of users. */

/** A name that is accepted as the user, and safe to show as it is. */
export const isUserName = (name: string): boolean => /^[A-Za-z0-9._@+-]{1,64}$/.test(name);

/** The same in words, for errors. */
export const userNameRule = 'A name has 1 to 64 characters: letters, digits and . _ @ + -';
