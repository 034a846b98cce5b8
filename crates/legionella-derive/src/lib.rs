//! The derive of `legionella::DeviceData`.
//!
//! Takes a struct or an enum, gives the implementation of the trait and a check that every field is
//! device data itself, whose errors point to the field's type. What makes a type device data is
//! said at the trait.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{
    Data, DeriveInput, Error, Fields, GenericParam, Result, Type, TypeParamBound,
    parse_macro_input, parse_quote,
};

/// Derives `legionella::DeviceData` for a struct or an enum whose fields are all device data.
///
/// Type parameters are required to be device data.
#[proc_macro_derive(DeviceData)]
pub fn derive_device_data(input: proc_macro::TokenStream) -> proc_macro::TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    device_data(input)
        .unwrap_or_else(Error::into_compile_error)
        .into()
}

fn device_data(mut input: DeriveInput) -> Result<TokenStream> {
    let fields = field_types(&input)?;
    let generics = &mut input.generics;
    for parameter in &mut generics.params {
        match parameter {
            GenericParam::Type(parameter) => {
                let name = &parameter.ident;
                let bound: TypeParamBound = parse_quote!(::legionella::DeviceData);
                // Where the other bounds are.
                match &mut generics.where_clause {
                    Some(bounds) => bounds.predicates.push(parse_quote!(#name: #bound)),
                    None => parameter.bounds.push(bound),
                }
            }
            GenericParam::Lifetime(parameter) => {
                return Err(Error::new(
                    parameter.span(),
                    "device data borrows nothing: a reference is an address of host memory",
                ));
            }
            GenericParam::Const(_) => {}
        }
    }
    let name = &input.ident;
    let (parameters, arguments, bounds) = input.generics.split_for_impl();
    let checks = fields
        .iter()
        .map(|field| quote_spanned!(field.span() => is_device_data::<#field>();));
    Ok(quote! {
        const _: () = {
            const fn is_device_data<T: ::legionella::DeviceData>() {}
            #[allow(dead_code, reason = "only its types are checked")]
            const fn fields #parameters () #bounds {
                #(#checks)*
            }
        };
        // SAFETY: all fields are device data, and nothing else is in it.
        #[automatically_derived]
        unsafe impl #parameters ::legionella::DeviceData for #name #arguments #bounds {}
    })
}

/// The types of all fields, of all variants.
fn field_types(input: &DeriveInput) -> Result<Vec<Type>> {
    let types = |fields: &Fields| -> Vec<Type> {
        let types = fields.iter().map(|field| field.ty.clone());
        types.collect()
    };
    match &input.data {
        Data::Struct(data) => Ok(types(&data.fields)),
        Data::Enum(data) => {
            let variants = data.variants.iter();
            Ok(variants
                .flat_map(|variant| types(&variant.fields))
                .collect())
        }
        Data::Union(data) => Err(Error::new(
            data.union_token.span,
            "`DeviceData` can't be derived for a union: nothing says which of its fields is there",
        )),
    }
}
